package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"chunkah/tests/clients"
)

// jarsPOM makes Maven download libraries whose builds leave different traces. %s is the version of
// commons-lang3.
const jarsPOM = `<project><modelVersion>4.0.0</modelVersion><groupId>x</groupId><artifactId>x</artifactId><version>1</version><dependencies>
<dependency><groupId>com.google.guava</groupId><artifactId>guava</artifactId><version>31.1-jre</version></dependency>
<dependency><groupId>com.google.code.findbugs</groupId><artifactId>jsr305</artifactId><version>3.0.2</version></dependency>
<dependency><groupId>org.apache.commons</groupId><artifactId>commons-lang3</artifactId><version>%s</version></dependency>
<dependency><groupId>ch.qos.logback</groupId><artifactId>logback-classic</artifactId><version>1.2.11</version></dependency>
<dependency><groupId>com.fasterxml.jackson.core</groupId><artifactId>jackson-databind</artifactId><version>2.13.4</version></dependency>
<dependency><groupId>org.jetbrains.kotlin</groupId><artifactId>kotlin-stdlib</artifactId><version>2.4.21</version></dependency>
</dependencies></project>`

// The test uses real libraries from Maven and updates one of them. Most libraries contain their
// release date: in the manifest (guava, commons-lang3, jackson), in pom.properties (jsr305), or in
// all entries (logback). kotlin-stdlib contains no date.
func TestJavaUpdate(t *testing.T) {
	t.Parallel()
	clients.Need(t, "mvn")
	dir, root := t.TempDir(), t.TempDir()
	download := func(version string) {
		t.Helper()
		put(t, dir, "pom.xml", fmt.Sprintf(jarsPOM, version))
		get := exec.Command("mvn", "--quiet", "--batch-mode", "dependency:copy-dependencies", "dependency:list",
			"-DoutputDirectory="+filepath.Join(root, "srv/app/lib"), "-DoutputFile=list")
		get.Dir = dir
		if res := start(t, get); res.code != 0 {
			clients.Lack(t, "cannot download libraries: "+res.stdout)
		}
	}
	download("3.12.0")
	putSize(t, root, "srv/app/app.bin", 50_000)
	list, err := os.ReadFile(filepath.Join(dir, "list"))
	if err != nil {
		t.Fatal(err)
	}
	o := assign(t, root)
	listed := 0
	for line := range strings.Lines(string(list)) {
		// GROUP:ARTIFACT:jar:VERSION:SCOPE
		words := strings.Split(strings.TrimSpace(line), ":")
		if len(words) < 5 {
			continue
		}
		listed++
		path := fmt.Sprintf("/srv/app/lib/%s-%s.jar", words[1], words[3])
		if got := o.of(path); got != "java/"+words[1] {
			t.Errorf("%q is of %q, and Maven lists it as %s", path, got, words[1])
		}
	}
	if n := len(o.leaves(nil)) - 1; listed != n || n < 10 {
		t.Errorf("Maven lists %d of %d libraries", listed, n)
	}
	for name, want := range map[string][]string{
		"guava": {"2022-02-28"}, "commons-lang3": {"2021-02-26"}, "jackson-databind": {"2022-09-03"}, "jsr305": {"2017-03-31"},
		"logback-classic": {"2022-03-05"}, "kotlin-stdlib": nil,
	} {
		var got []string
		for _, at := range o.components["java/"+name].Updates {
			got = append(got, time.Unix(at, 0).UTC().Format(time.DateOnly))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s was released on %q, want %q", name, got, want)
		}
	}
	checkUpdate(t, root, update{"java", func() {
		if err := os.Remove(filepath.Join(root, "srv/app/lib/commons-lang3-3.12.0.jar")); err != nil {
			t.Fatal(err)
		}
		download("3.22.0")
	}, []string{"srv/app/lib/commons-lang3-3.22.0.jar"}})
}
