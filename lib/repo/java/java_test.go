package java

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"chunkah/format"
	"chunkah/lib/repo/places/placestest"
	"chunkah/tests/bound"
)

// jar makes an archive of names and contents.
func jar(t testing.TB, method uint16, pairs ...string) string {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for i := 0; i < len(pairs); i += 2 {
		member, err := w.CreateHeader(&zip.FileHeader{Name: pairs[i], Method: method})
		if err == nil {
			_, err = member.Write([]byte(pairs[i+1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// pom returns the name and content of an artifact's pom.properties.
func pom(id string) []string {
	return []string{"META-INF/maven/org.x/" + id + "/pom.properties", "#made by a test\r\nversion=1.0\r\ngroupId=org.x\r\nartifactId=" + id + "\r\n"}
}

func titled(title string) []string {
	return []string{manifest, "Manifest-Version: 1.0\r\nimplementation-title: " + title + "\r\nOther: x\r\n\r\nName: a\r\nImplementation-Title: wrong\r\n"}
}

func TestArchives(t *testing.T) {
	r := placestest.New(t)
	join := func(lists ...[]string) (all []string) {
		for _, list := range lists {
			all = append(all, list...)
		}
		return all
	}
	plain := jar(t, zip.Deflate, join([]string{"a/B.class", "x"}, pom("core-lib"), titled("A title"))...)
	for name, content := range map[string]string{
		"anything.jar":            plain,
		"stored-1.0.war":          jar(t, zip.Store, pom("stored-app")...),
		"launcher.jar":            "#!/bin/sh\nexec java -jar \"$0\"\n" + plain,
		"merged-all-2.1-RC1.jar":  jar(t, zip.Deflate, join(pom("guava"), pom("merged-all"), titled("no"))...),
		"merged-2.jar":            jar(t, zip.Deflate, join(pom("guava"), pom("netty"), titled("A long\r\n er title"))...),
		"merged-untitled-2.jar":   jar(t, zip.Deflate, join(pom("guava"), pom("netty"), titled("${project.name}"))...),
		"clients-4.4.0.jar":       jar(t, zip.Deflate, pom("net")...), // the version is 1.0
		"core-1.17.2.jar":         jar(t, zip.Deflate, titled("io.x#core;1.17.2")...),
		"titled.ear":              jar(t, zip.Deflate, titled("The App")...),
		"nothing-3.2.1.jar":       jar(t, zip.Deflate, "a", "b"),
		"log4j-1.2-api-2.17.jar":  "not an archive",
		"empty-1.jar":             "",
		"many-1.0.jar":            jar(t, zip.Store, join(members(70000), pom("many-entries"))...),
		"owned.jar":               plain,
		"Not.JAR":                 plain,
		"deep-1.0-2023.1-2.jar":   jar(t, zip.Deflate, "META-INF/maven/pom.properties", "artifactId=no", "x/META-INF/maven/a/b/pom.properties", "artifactId=no"),
		"unfinished-manifest.jar": jar(t, zip.Deflate, manifest, "Implementation-Title:"),
	} {
		r.File("/opt/app/lib/"+name, content)
	}
	r.Mkdir("/opt/app/lib/dir.jar").Symlink("/opt/app/lib/link.jar", "anything.jar").Own("dpkg/x", "/opt/app/lib/owned.jar").Link("/srv/y.jar", "/opt/app/lib/titled.ear")
	a := r.Assign(Repo{})
	a.WantWarnings()
	for name, want := range map[string]string{
		"anything.jar": "core-lib", "clients-4.4.0.jar": "clients", "core-1.17.2.jar": "core", "stored-1.0.war": "stored-app", "launcher.jar": "core-lib", "merged-all-2.1-RC1.jar": "merged-all",
		"merged-2.jar": "A longer title", "merged-untitled-2.jar": "merged-untitled", "titled.ear": "The App", "nothing-3.2.1.jar": "nothing",
		"log4j-1.2-api-2.17.jar": "log4j-1.2-api", "empty-1.jar": "empty", "many-1.0.jar": "many-entries", "deep-1.0-2023.1-2.jar": "deep",
		"unfinished-manifest.jar": "unfinished-manifest",
	} {
		a.Want("/opt/app/lib/"+name, "java/"+want)
	}
	a.Want("/srv/y.jar", "java/The App", "/opt/app/lib/owned.jar", "dpkg/x", "/opt/app/lib/link.jar", "chunkah/unclaimed/opt/app", "/opt/app/lib/Not.JAR", "chunkah/unclaimed/opt/app")
}

// members returns n members, enough for zip64.
func members(n int) (pairs []string) {
	for i := range n {
		pairs = append(pairs, fmt.Sprint("a/", i), "")
	}
	return pairs
}

func TestUnversioned(t *testing.T) {
	for stem, want := range map[string]string{
		"guava-31.1-jre": "guava", "spring-core-5.3.1": "spring-core", "foo": "foo", "foo-1.0-SNAPSHOT": "foo", "a-1.0-20230101.1-2": "a",
		"log4j-1.2-api": "log4j", "log4j-1.2-api-2.17.0": "log4j-1.2-api", "-1": "-1", "x-": "x-", "": "",
	} {
		if got := unversioned(stem); got != want {
			t.Errorf("%q: %q, want %q", stem, got, want)
		}
	}
}

// TestLies checks that a directory with false sizes does not cost memory.
func TestLies(t *testing.T) {
	good := []byte(jar(t, zip.Deflate, pom("x")...))
	end := len(good) - endLen
	for name, lie := range map[string]func(raw []byte){
		"count":     func(raw []byte) { copy(raw[end+8:], "\xff\xff\xff\xff") },
		"size":      func(raw []byte) { copy(raw[end+12:], "\xff\xff\xff\xff") },
		"offset":    func(raw []byte) { copy(raw[end+16:], "\xff\xff\xff\xff") },
		"comment":   func(raw []byte) { copy(raw[end+20:], "\xff\xff") },
		"signature": func(raw []byte) { raw[end]++ },
	} {
		raw := bytes.Clone(good)
		lie(raw)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		said := (&archive{r: bytes.NewReader(raw), size: int64(len(raw))}).names(anyTime)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
			t.Errorf("%s: %d bytes of memory", name, used)
		}
		if name != "count" && len(said.artifacts) > 0 {
			t.Errorf("%s: got %+v", name, said)
		}
	}
}

// hole is a large file that is empty except for its end.
type hole struct {
	size int64
	end  []byte
}

func (h hole) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	if from := h.size - int64(len(h.end)); off >= from {
		copy(p, h.end[off-from:])
	} else if off+int64(len(p)) > from {
		copy(p[from-off:], h.end)
	}
	return len(p), nil
}

// TestManyEntries checks that memory does not depend on the number of entries in the directory, nor
// on the number that the end record claims.
func TestManyEntries(t *testing.T) {
	entry := "PK\x01\x02" + strings.Repeat("\x00", headerLen-4)
	full := []byte(strings.Repeat(entry, maxDirectory/headerLen) + "PK\x05\x06" + strings.Repeat("\x00", endLen-4))
	end := full[len(full)-endLen:]
	binary.LittleEndian.PutUint32(end[12:], uint32(len(full)-endLen))

	const size, claimed = 16 << 30, 1 << 28
	wide := []byte("PK\x06\x06" + strings.Repeat("\x00", end64Len-4) + "PK\x06\x07" + strings.Repeat("\x00", locatorLen-4) +
		"PK\x05\x06" + strings.Repeat("\xff", endLen-6) + "\x00\x00")
	for at, value := range map[int]uint64{24: claimed, 32: claimed, 40: headerLen, 48: uint64(size - len(wide) - headerLen), end64Len + 8: uint64(size - len(wide))} {
		binary.LittleEndian.PutUint64(wide[at:], value)
	}
	for name, a := range map[string]*archive{
		"real":    {r: bytes.NewReader(full), size: int64(len(full))},
		"claimed": {r: hole{size, append([]byte(entry), wide...)}, size: size},
	} {
		t.Run(name, func(t *testing.T) {
			bound.Memory(t, 1<<20)
			entries := 0
			for range a.entries() {
				entries++
			}
			if want := map[string]int{"real": maxDirectory / headerLen, "claimed": 1}[name]; entries != want {
				t.Errorf("%d entries, not %d", entries, want)
			}
		})
	}
}

func TestNothingHere(t *testing.T) {
	r := placestest.New(t).File("/x.zip", "").File("/dpkg.jar", "").Own("dpkg/x", "/dpkg.jar")
	if result, err := (Repo{}).Load(t.Context(), r.Tree()); err != nil || result != nil {
		t.Errorf("got %+v, %v", result, err)
	}
}

// TestRealJar reads an archive made by the jar tool.
func TestRealJar(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a Java machine")
	}
	tool, err := exec.LookPath("jar")
	if err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "m"), []byte("Implementation-Title: "+strings.Repeat("long ", 20)+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(tool, "cfm", "x-1.jar", "m", "m")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("%v: %s", err, out)
	}
	placestest.Scan(t, dir).Assign(Repo{}).Want("/x-1.jar", "java/"+strings.TrimSpace(strings.Repeat("long ", 20)))
}

func FuzzArchive(f *testing.F) {
	f.Add([]byte(jar(f, zip.Deflate, append(pom("a"), titled("b")...)...)))
	f.Add([]byte(jar(f, zip.Store, append(pom("a"), titled("b")...)...)))
	f.Add([]byte("#Mon Feb 28 16:18:22 EST 2022\nBnd-LastModified: 1646083102234\nBuild-Date: 2022-02-28\n"))
	f.Add([]byte("PK\x06\x06" + strings.Repeat("\x00", 52) + "PK\x06\x07" + strings.Repeat("\x00", 16) + "PK\x05\x06" + strings.Repeat("\xff", 16) + "\x00\x00"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		bound.Memory(t, maxArtifacts*(4*maxEntry+64<<10)+1<<20+32*len(raw))
		said := (&archive{r: bytes.NewReader(raw), size: int64(len(raw))}).names(anyTime)
		if r := said.released; !r.IsZero() && (r.Year() < 1980 || !r.Equal(day(r))) {
			t.Errorf("released %s", r)
		}
		all := []string{said.title, said.version}
		for _, a := range said.artifacts {
			all = append(all, a.group, a.id, a.version)
		}
		for _, name := range all {
			if len(name) > maxName || usable(name) != name {
				t.Errorf("got %q", name)
			}
		}
		_, _, _ = parseArtifact(raw), attribute(raw, titleAttribute), unversioned(string(raw))
		_, _ = manifestDates(raw), propertiesDate(raw)
	})
}

// TestUnknownSize reads a file whose record does not contain its size.
func TestUnknownSize(t *testing.T) {
	r := placestest.New(t).File("/opt/x-1.0.jar", jar(t, zip.Store, pom("core")...))
	tree := r.Tree()
	i, _ := tree.Lookup("/opt/x-1.0.jar")
	tree.Files[i].Size = format.SizeUnknown
	r.Assign(Repo{}).Want("/opt/x-1.0.jar", "java/core")
}
