package doctor

import (
	"archive/zip"
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"chunkah/format"
	"chunkah/lib/scan"
	"chunkah/tests/mkroot"
)

// zipped returns a zip archive with members of these names.
func zipped(t *testing.T, names ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, name := range names {
		m, err := w.Create(name)
		if err == nil {
			_, err = m.Write([]byte("x"))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestFatJar(t *testing.T) {
	dir := mkroot.Make(t, "dir /app\ndir /usr/pkg")
	for name, data := range map[string][]byte{
		"/app/app.jar":     zipped(t, "META-INF/MANIFEST.MF", "BOOT-INF/classes/A.class", "BOOT-INF/lib/b.jar"),
		"/app/web.war":     zipped(t, "WEB-INF/lib/b.jar"),
		"/app/thin.jar":    zipped(t, "META-INF/MANIFEST.MF", "A.class", "lib/b.jar"),
		"/app/broken.jar":  []byte("no archive"),
		"/usr/pkg/own.jar": zipped(t, "BOOT-INF/lib/b.jar"),
	} {
		if err := os.WriteFile(dir+name, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	list := examineDir(t, dir, format.Header{}, Options{Dir: "/r", Ignore: []ID{"build-times"}})
	if got := showAll(list); !slices.Equal(got, []string{"fat-jar: /app/app.jar /app/web.war"}) {
		t.Fatalf("got %q", got)
	}
	if want := "unzip /r/app/app.jar -d"; !strings.Contains(list[0].Advice, want) {
		t.Errorf("got %q", list[0].Advice)
	}
	// The Spring Boot libraries in the archive determine the extraction command in the advice.
	for library, want := range map[string]string{
		"spring-boot-jarmode-tools-3.3.5.jar":      "java -Djarmode=tools -jar /r/app/app.jar extract",
		"spring-boot-jarmode-layertools-2.7.0.jar": "java -Djarmode=layertools -jar /r/app/app.jar extract",
	} {
		jar := zipped(t, "BOOT-INF/layers.idx", "BOOT-INF/lib/b.jar", "BOOT-INF/lib/"+library)
		if err := os.WriteFile(dir+"/app/app.jar", jar, 0o644); err != nil {
			t.Fatal(err)
		}
		list := examineDir(t, dir, format.Header{}, Options{Dir: "/r", Ignore: []ID{"build-times"}})
		if !strings.HasSuffix(list[0].Advice, want) {
			t.Errorf("got %q, want %q", list[0].Advice, want)
		}
	}
}

func TestSparse(t *testing.T) {
	e := New(Options{})
	e.Sparse([]scan.Sparse{{Path: "/srv/a b", Holes: 2e9}, {Path: "/var/log/lastlog", Holes: 3e9}})
	list := e.Findings()
	if got := showAll(list); !slices.Equal(got, []string{"sparse-file: /srv/a b /var/log/lastlog"}) || list[0].Bytes != 5e9 {
		t.Fatalf("got %q, %+v", got, list)
	}
	if !slices.Equal(list[0].Options, []string{"--prune", "/srv/a b", "--prune", "/var/log/lastlog"}) {
		t.Errorf("got %q", list[0].Options)
	}
	e = New(Options{Ignore: []ID{"sparse-file"}})
	if e.Sparse([]scan.Sparse{{Path: "/a", Holes: 2e9}}); len(e.Findings()) != 0 {
		t.Error("not ignored")
	}
}
