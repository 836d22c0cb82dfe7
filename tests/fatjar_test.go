package tests

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"chunkah/tests/clients"
	"chunkah/tests/mkroot"
)

// springPOM makes Maven download the libraries of a Spring Boot archive.
const springPOM = `<project><modelVersion>4.0.0</modelVersion><groupId>x</groupId><artifactId>x</artifactId><version>1</version><dependencies>
<dependency><groupId>org.springframework.boot</groupId><artifactId>spring-boot-loader</artifactId><version>3.3.5</version></dependency>
<dependency><groupId>org.springframework.boot</groupId><artifactId>spring-boot-jarmode-tools</artifactId><version>3.3.5</version></dependency>
<dependency><groupId>org.springframework</groupId><artifactId>spring-core</artifactId><version>6.1.14</version></dependency>
</dependencies></project>`

const springManifest = `Manifest-Version: 1.0
Main-Class: org.springframework.boot.loader.launch.JarLauncher
Start-Class: App
Spring-Boot-Version: 3.3.5
Spring-Boot-Classes: BOOT-INF/classes/
Spring-Boot-Lib: BOOT-INF/lib/
Spring-Boot-Classpath-Index: BOOT-INF/classpath.idx
Spring-Boot-Layers-Index: BOOT-INF/layers.idx
`

// fatJar writes an archive like those that Spring Boot's Maven plugin makes. It contains the
// loader's classes, a class that depends on seed, and uncompressed libraries.
func fatJar(name, libraries, seed string) (err error) {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	out := zip.NewWriter(file)
	add := func(name string, method uint16, from io.Reader) {
		w, createErr := out.CreateHeader(&zip.FileHeader{Name: name, Method: method})
		if err = errors.Join(err, createErr); err == nil {
			_, err = io.Copy(w, from)
		}
	}
	add("META-INF/MANIFEST.MF", zip.Deflate, strings.NewReader(springManifest))
	add("BOOT-INF/classes/App.class", zip.Deflate, io.LimitReader(mkroot.Bytes(seed), 20_000))
	jars, globErr := filepath.Glob(filepath.Join(libraries, "*.jar"))
	err = errors.Join(err, globErr)
	index := ""
	for _, jar := range jars {
		data, readErr := os.ReadFile(jar)
		err = errors.Join(err, readErr)
		if base := filepath.Base(jar); !strings.HasPrefix(base, "spring-boot-loader-") {
			add("BOOT-INF/lib/"+base, zip.Store, strings.NewReader(string(data)))
			index += fmt.Sprintf("- \"BOOT-INF/lib/%s\"\n", base)
		}
	}
	add("BOOT-INF/classpath.idx", zip.Deflate, strings.NewReader(index))
	add("BOOT-INF/layers.idx", zip.Deflate, strings.NewReader("- \"dependencies\":\n  - \"BOOT-INF/lib/\"\n- \"application\":\n  - \"BOOT-INF/classes/\"\n"))
	loader, openErr := zip.OpenReader(filepath.Join(libraries, "spring-boot-loader-3.3.5.jar"))
	if err = errors.Join(err, openErr); err != nil {
		return err
	}
	defer loader.Close()
	for _, f := range loader.File {
		if strings.HasSuffix(f.Name, ".class") {
			if copyErr := out.Copy(f); copyErr != nil {
				return copyErr
			}
		}
	}
	return errors.Join(err, out.Close())
}

// The command that doctor prints for a Spring Boot archive extracts the archive. If a class changes
// afterwards, clients download only the classes.
func TestFatJarUpdate(t *testing.T) {
	t.Parallel()
	clients.Need(t, "java", "mvn", "jq")
	dir, root := t.TempDir(), t.TempDir()
	put(t, dir, "pom.xml", springPOM)
	get := exec.Command("mvn", "--quiet", "--batch-mode", "dependency:copy-dependencies", "-DoutputDirectory=lib")
	get.Dir = dir
	if res := start(t, get); res.code != 0 {
		clients.Lack(t, "cannot download Spring Boot: "+res.stdout)
	}
	put(t, root, "srv/README", "where the application is")
	jar := filepath.Join(root, "srv/app.jar")
	extract := func(seed string) {
		t.Helper()
		if err := fatJar(jar, filepath.Join(dir, "lib"), seed); err != nil {
			t.Fatal(err)
		}
		doctor := `chunkah doctor --json "$ROOT" | jq -r 'select(.id == "fat-jar") | .advice | sub(".*: java "; "java ")'`
		cmd := exec.Command("bash", "-c", `advice=$(`+doctor+`); $advice --force --destination "$ROOT/srv/app" && rm "$ROOT/srv/app.jar"`)
		cmd.Env = append(os.Environ(), "ROOT="+root)
		clients.Run(t, cmd)
	}
	extract("one")
	assign(t, root).want(t, map[string]string{"/srv/app/lib/spring-core-6.1.14.jar": "java/spring-core", "/srv/app/app.jar": "java/app"})
	checkUpdate(t, root, update{"java", func() { extract("two") }, []string{"srv/app/app.jar"}})
}
