package layer

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// pinned is the digest of the tar made from kinds. If it changes, every image changes.
const pinned = "dc10aba4a4401ef91de5a1d227de0e6253619d7239a631785d9694178e94e442"

func TestGolden(t *testing.T) {
	data := write(t, kinds()...)
	golden(t, "testdata/kinds.txt", listing(t, data))
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != pinned {
		t.Errorf("the digest is %x, not %s: all digests change", sum, pinned)
	}
}

// The headers are ustar, preceded by pax headers, and contain no data from the host.
func TestHeaderFields(t *testing.T) {
	data := write(t, kinds()...)
	for tr := tar.NewReader(bytes.NewReader(data)); ; {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uname != "" || h.Gname != "" || !h.AccessTime.IsZero() || !h.ChangeTime.IsZero() {
			t.Errorf("%q: %q %q %v %v", h.Name, h.Uname, h.Gname, h.AccessTime, h.ChangeTime)
		}
		plain := isASCII(h.Name) && isASCII(h.Linkname) // Go reports another format for headers with other bytes
		if plain && h.Format != tar.FormatUSTAR && h.Format != tar.FormatPAX {
			t.Errorf("%q is %v", h.Name, h.Format)
		}
	}
	if len(data)%blockSize != 0 || !bytes.HasSuffix(data, make([]byte, endSize)) {
		t.Errorf("%d bytes, without two blocks of zeros at the end", len(data))
	}
	for at := 0; at < len(data); at += blockSize {
		b := data[at : at+blockSize]
		if string(b[257:262]) == "ustar" && b[156] != flagDir && bytes.HasSuffix(bytes.TrimRight(b[:100], "\x00"), []byte("/")) {
			t.Errorf("the block at %d has the name %q with a trailing slash, but is not a directory", at, b[:100])
		}
	}
}

// listing formats everything in a tar, one line per entry.
func listing(t *testing.T, data []byte) string {
	t.Helper()
	var out strings.Builder
	tr := tar.NewReader(bytes.NewReader(data))
	for {
		h, err := tr.Next()
		if err == io.EOF {
			return out.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%c %04o %d:%d %d %d %q", h.Typeflag, h.Mode, h.Uid, h.Gid, h.Size, h.ModTime.Unix(), h.Name)
		if h.Linkname != "" {
			fmt.Fprintf(&out, " -> %q", h.Linkname)
		}
		if h.Typeflag == tar.TypeChar || h.Typeflag == tar.TypeBlock {
			fmt.Fprintf(&out, " %d,%d", h.Devmajor, h.Devminor)
		}
		var keys []string
		for k := range h.PAXRecords {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			fmt.Fprintf(&out, " %s=%q", k, h.PAXRecords[k])
		}
		if len(content) > 0 {
			fmt.Fprintf(&out, " %x", sha256.Sum256(content))
		}
		out.WriteByte('\n')
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	gotLines, wantLines := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := range max(len(gotLines), len(wantLines)) {
		g, w := line(gotLines, i), line(wantLines, i)
		if g != w {
			t.Errorf("%s:%d:\n got %s\nwant %s", name, i+1, g, w)
		}
	}
}

func line(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(none)"
}
