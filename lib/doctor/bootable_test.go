package doctor

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"chunkah/format"
	"chunkah/lib/oci"
)

// bootable is a root that can boot.
const bootable = `
file /usr/lib/modules/6/vmlinuz
dir /dev
dir /proc
dir /run
dir /sys
dir /tmp
dir /var
dir /etc
symlink /var/run to=../run
dir /sysroot
symlink /ostree to=sysroot/ostree
`

// sealed returns a unified kernel image with a command line, as a line for mkroot. It consists of a
// DOS header, a PE header and one section.
func sealed(path, line string) string {
	var b bytes.Buffer
	dos := make([]byte, 64)
	copy(dos, "MZ")
	dos[0x3c] = 64
	b.Write(dos)
	b.WriteString("PE\x00\x00")
	for _, part := range []any{
		pe.FileHeader{Machine: pe.IMAGE_FILE_MACHINE_AMD64, NumberOfSections: 1},
		pe.SectionHeader32{
			Name: [8]uint8([]byte(".cmdline")), VirtualSize: uint32(len(line)), SizeOfRawData: uint32(len(line)), PointerToRawData: 64 + 4 + 20 + 40,
		},
	} {
		if err := binary.Write(&b, binary.LittleEndian, part); err != nil {
			panic(err)
		}
	}
	return fmt.Sprintf("file %s text=%q\n", path, b.String()+line)
}

// TestBootableByLabel: an image can be bootable without a kernel in /usr/lib/modules, for example
// with only a unified kernel image.
func TestBootableByLabel(t *testing.T) {
	root := strings.Replace(bootable, "file /usr/lib/modules/6/vmlinuz\n", "dir /var/run\ndir /usr/etc\nfile \"/srv/caf\\xe9\"\n", 1)
	root = strings.Replace(root, "symlink /var/run to=../run\n", "", 1)
	config := &oci.Config{Labels: map[string]string{"containers.bootc": "1"}}
	want := []string{"non-utf8-names: /srv/caf\xe9", "var-run: /var/run", "etc-usretc: /etc/ /usr/etc/"}
	if got := showAll(examine(t, root, format.Header{}, Options{Config: config})); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := showAll(examine(t, root, format.Header{}, Options{Config: &oci.Config{}})); len(got) != 0 {
		t.Errorf("without the label: %q", got)
	}
}

// TestKeptLayers checks that only the upper layers are examined if the lower layers of an image are
// kept.
func TestKeptLayers(t *testing.T) {
	root := "file /usr/lib/modules/6/vmlinuz\n"
	if got := showAll(examine(t, root, format.Header{}, Options{})); len(got) != 2 {
		t.Errorf("the whole root: %q", got)
	}
	e := New(Options{})
	e.seen.kernelInUsr, e.header.KeepLayers = true, 1
	if got := showAll(e.Findings()); len(got) != 0 {
		t.Errorf("layers above others: %q", got)
	}
}
