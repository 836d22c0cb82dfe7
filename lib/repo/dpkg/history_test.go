package dpkg

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"chunkah/lib/repo/pkgdb/pkgdbtest"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestHistory checks updates and clamps from all their sources.
func TestHistory(t *testing.T) {
	const first, second, third = "Mon, 02 Jan 2023 13:06:21 +0100", "Sun, 01 Jan 2023 00:00:00 +0000", "Fri, 1 Apr 2022 10:00:00 -0500"
	doc := "/usr/share/doc/"
	text := root(
		deb{name: "native", list: "/usr/native"},
		deb{name: "packaged", list: "/usr/packaged"},
		deb{name: "rebuilt", list: "/usr/rebuilt"},
		deb{name: "linked", list: "/usr/linked"},
		deb{name: "plain", list: "/usr/plain"},
		deb{name: "liba1", fields: "Source: a\n", list: "/usr/liba1"},
		deb{name: "a-utils", fields: "Source: a\n", list: "/usr/a-utils"},
		deb{name: "odd", list: "/usr/odd"},
		deb{name: "undocumented", list: "/usr/old /usr/new /etc/edited", sums: "/usr/old /usr/new", fields: "Conffiles:\n /etc/edited 00\n"},
		deb{name: "touched", list: "/usr/touched", sums: "/usr/touched"},
		deb{name: "bare", list: "/usr/bare"},
		deb{name: "meta", list: "/usr", sums: "/gone"},
		deb{name: "damaged", list: "/usr/damaged"},
	) +
		file(doc+"native/changelog.gz", zipped(changelog(first, third)), built) +
		file(doc+"packaged/changelog.gz", zipped(changelog("Tue, 03 Jan 2023 00:00:00 +0000")), built) +
		file(doc+"packaged/changelog.Debian.gz", zipped(changelog(second, third)), built) +
		file(doc+"rebuilt/changelog.Debian.gz", zipped(changelog(second)), built) +
		file(doc+"rebuilt/changelog.Debian.amd64.gz", zipped(changelog(first)), built) +
		file(doc+"rebuilt/changelog.Debian.armhf.gz", zipped(changelog("Wed, 04 Jan 2023 00:00:00 +0000")), built) +
		"symlink " + doc + "linked to=native\n" +
		file(doc+"plain/changelog.Debian", changelog(second), built) +
		file(doc+"a-utils/changelog.Debian.gz", zipped(changelog(first)), built) +
		file(doc+"liba1/changelog.Debian.gz", zipped(changelog(second)), built) +
		file(doc+"odd/changelog.Debian.gz", zipped(changelog("Tues,  2  Jan 2018 00:00:00  +0000", "Mon, 01 Jan 2930 00:00:00 +0000", "nonsense", third)), built) +
		file(doc+"undocumented/changelog.gz", zipped("Release 1\n-- no dates\n"), built) +
		file(doc+"damaged/changelog.gz", "no gzip", built) +
		fmt.Sprintf("file /usr/old mtime=%d\nfile /usr/new mtime=%d\nfile /etc/edited mtime=%d\n", built-9, built-5, installed) +
		fmt.Sprintf("file /usr/touched mtime=%d\nfile /usr/bare mtime=%d\nfile /usr/damaged mtime=%d\n", installed, built-1, built-2)
	for name := range strings.FieldsSeq("native packaged rebuilt linked plain liba1 a-utils odd") {
		text += "file /usr/" + name + "\n"
	}
	got, outcome := claims(t, text)
	if n := strings.Count(got, "\n"); n != 14+strings.Count(got, doc) {
		t.Errorf("got %d files:\n%s", n, got)
	}
	one, two, three := "1672661181", "1672531200", "1648825200"
	pkgdbtest.Equal(t, "components", pkgdbtest.Components(outcome.Components), lines(
		"dpkg/.database days=1",
		"dpkg/a clamp="+one+" updates="+one, // from a-utils, whose name comes first
		fmt.Sprintf("dpkg/bare clamp=%d", built-1),
		fmt.Sprintf("dpkg/damaged clamp=%d", built-2),
		"dpkg/linked clamp="+one+" updates="+three+" "+one,
		fmt.Sprintf("dpkg/meta clamp=%d", built),
		"dpkg/native clamp="+one+" updates="+three+" "+one,
		"dpkg/odd clamp=1514851200 updates=1514851200",
		"dpkg/packaged clamp="+two+" updates="+three+" "+two,
		"dpkg/plain clamp="+two+" updates="+two,
		"dpkg/rebuilt clamp="+one+" updates="+two+" "+one,
		fmt.Sprintf("dpkg/touched clamp=%d", built),
		fmt.Sprintf("dpkg/undocumented clamp=%d", built-5),
	))
}

// TestInstalledAnew checks that components stay the same if the same packages are installed at
// another time, with other packages and in another order.
func TestInstalledAnew(t *testing.T) {
	a := deb{name: "a", list: "/usr/a /etc/a", sums: "/usr/a", fields: "Conffiles:\n /etc/a 00\n"}
	b := deb{name: "b", list: "/usr/b /usr/share/x", sums: "/usr/b"}
	files := fmt.Sprintf("file /usr/a mtime=%d\nfile /usr/b mtime=%d\nfile /usr/share/x mtime=%d\nfile /etc/a mtime=%d\nsymlink /etc/alternatives/a to=/usr/a\n", built, built-1, built-2, built)
	_, before := claims(t, root(a, b)+files)
	later := strings.ReplaceAll(root(deb{name: "new", list: "/usr/new /usr/b", sums: "/usr/new"}, b, a)+files, fmt.Sprint(installed), fmt.Sprint(installed+86400))
	_, after := claims(t, later+"file /usr/new\n")
	want := strings.Split(strings.TrimSpace(pkgdbtest.Components(before.Components)), "\n")
	got := strings.Split(pkgdbtest.Components(after.Components), "\n")
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("no %q in %q", line, got)
		}
	}
}

// TestBomb checks that a changelog is read only up to the limit.
func TestBomb(t *testing.T) {
	long := changelog("Mon, 02 Jan 2023 13:06:21 +0100") + strings.Repeat("x", 300000) + strings.Repeat(changelog("Fri, 1 Apr 2022 10:00:00 -0500"), 200000)
	text := root(deb{name: "a", list: "/usr/a"}) + file("/usr/share/doc/a/changelog.gz", zipped(long), built) + "file /usr/a\n"
	_, outcome := claims(t, text)
	if c := outcome.Components[1]; len(c.Updates) != 1 {
		t.Errorf("got %+v", c)
	}
}

// TestDamagedByItself reads a changelog with a block without distance codes. Text after the first
// distance is lost, regardless of the codes in the previous changelog.
func TestDamagedByItself(t *testing.T) {
	const first, second = "Mon, 02 Jan 2023 13:06:21 +0100", "Fri, 1 Apr 2022 10:00:00 -0500"
	doc := "/usr/share/doc/"
	whole := file(doc+"a/changelog.gz", deflated(1, changelog(first)+"run"+changelog(second)), built)
	damaged := file(doc+"b/changelog.gz", deflated(0, changelog(first)+"run"+changelog(second)), built)
	_, outcome := claims(t, root(deb{name: "a", list: "/usr/a"}, deb{name: "b", list: "/usr/b"})+whole+damaged+"file /usr/a\nfile /usr/b\n")
	pkgdbtest.Equal(t, "components", pkgdbtest.Components(outcome.Components), lines(
		"dpkg/.database days=1",
		"dpkg/a clamp=1672661181 updates=1648825200 1672661181",
		"dpkg/b clamp=1672661181 updates=1672661181",
	))
}

// deflated compresses text into one block with its own codes (RFC 1951, section 3.2.7). "run" is
// written as a repetition of the previous byte, with the only distance code, which has distanceBits
// bits.
func deflated(distanceBits int, text string) string {
	// The last block, with 258 codes for bytes and lengths, and one for distances. Their lengths
	// are encoded with the codes 8 and 2, 18 for zeros, and distanceBits: two bits each.
	bits := reversed(1, 1) + reversed(2, 2) + reversed(258-257, 5) + reversed(0, 5) + reversed(18-4, 4)
	for _, length := range []int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1} {
		n := 0
		if slices.Contains([]int{18, 8, 2, distanceBits}, length) {
			n = 2
		}
		bits += reversed(n, 3)
	}
	bits += strings.Repeat("10", 128) + "11" + reversed(128-11, 7) + "01" + "01" + "00" // ASCII, no others, end, run, distance
	before, after, _ := strings.Cut(text, "run")
	bits += literals(before) + "01" + "0" + literals(after) + "00"
	packed := "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"
	for len(bits) > 0 {
		n := 0
		for i := range min(8, len(bits)) {
			n |= int(bits[i]-'0') << i
		}
		packed, bits = packed+string([]byte{byte(n)}), bits[min(8, len(bits)):]
	}
	return packed // the checksum is left out, because it does not matter here
}

// reversed returns a number with its lowest bit first, as all values except codes are written.
func reversed(n, width int) string {
	text := []byte(fmt.Sprintf("%0*b", width, n))
	slices.Reverse(text)
	return string(text)
}

// literals are the codes of ASCII text: a one, and the byte.
func literals(text string) (bits string) {
	for _, c := range []byte(text) {
		bits += fmt.Sprintf("1%07b", c)
	}
	return bits
}

// TestReal reads the root in CHUNKAH_TEST_DEBIAN. Almost every file must have a component.
func TestReal(t *testing.T) {
	dir := os.Getenv("CHUNKAH_TEST_DEBIAN")
	if dir == "" {
		t.Skip("CHUNKAH_TEST_DEBIAN names no root")
	}
	tree, outcome := pkgdbtest.Run(t, dir, Repo{})
	t.Logf("%+v, warnings %q", outcome.Summaries, outcome.Warnings)
	var all, left int64
	for _, f := range tree.Files {
		if strings.HasPrefix(f.Path, "/var/lib/") || strings.HasPrefix(f.Path, "/var/cache/") || f.Size >= 1<<20 && !strings.HasPrefix(f.Components[0], "dpkg/") {
			continue
		}
		all += f.Size
		if len(f.Components) > 0 && !strings.HasPrefix(f.Components[0], "dpkg/") {
			left += f.Size
		}
	}
	t.Logf("%d of %d bytes are nobody's", left, all)
	if left*100 > all {
		t.Errorf("that is more than one in a hundred")
	}
}
