package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"chunkah/tests/clients"
	"chunkah/tests/mkroot"
)

// readBytes runs a command and returns the bytes that it requested from the kernel with read,
// pread, sendfile and copy_file_range.
func readBytes(t *testing.T, command ...string) int64 {
	t.Helper()
	// The kernel adds the reads of a process to the reads of its parent when the parent has waited
	// for the process.
	cmd := exec.Command("sh", append([]string{"-c", `"$@" && sed -n 's/^rchar: //p' /proc/$$/io`, "sh"}, command...)...)
	n, err := strconv.ParseInt(strings.TrimSpace(clients.Run(t, cmd)), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// build --verify reads the source and the output again, but only once.
func TestBuildVerifyReadsOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("reads some hundred megabytes")
	}
	if _, err := os.Stat("/proc/self/io"); err != nil {
		t.Skip(err) // the kernel does not count reads
	}
	var spec strings.Builder
	source := int64(0)
	for i := range 40 {
		size := int64(1000)
		if i%10 == 0 {
			size = 3_000_000
		}
		source += size
		fmt.Fprintf(&spec, "file /d%d/f%d size=%d\n", i%3, i, size)
	}
	root := mkroot.Make(t, spec.String())
	for name, flags := range map[string][]string{
		"archive": {"-o", "oci-archive:OUT"},
		// The image has one layer. With several layers, an early layer would be spooled and read
		// from the spool.
		"gzip":           {"-o", "oci-archive:OUT", "--compress", "gzip", "--level", "1", "--max", "1"},
		"layout":         {"-o", "oci:OUT"},
		"docker archive": {"-o", "docker-archive:OUT:app:1"},
	} {
		t.Run(name, func(t *testing.T) {
			build := func(out string, more ...string) []string {
				args := append([]string{"chunkah", "build", "--rootfs", root}, more...)
				for _, flag := range flags {
					args = append(args, strings.Replace(flag, "OUT", out, 1))
				}
				return args
			}
			dir := t.TempDir()
			alone := readBytes(t, build(filepath.Join(dir, "alone"))...)
			verified := readBytes(t, build(filepath.Join(dir, "verified"), "--verify")...)
			output := sizeOf(t, filepath.Join(dir, "verified"))
			// beside allows for reads other than those of the root's files: /proc, headers, and the
			// end of each file.
			const beside = 1 << 20
			if more, most := verified-alone, source+output; more > most+beside || more < most-beside {
				t.Errorf("--verify reads %d bytes more; the source has %d, the output %d", more, source, output)
			}
		})
	}
}

// sizeOf returns the number of bytes in a file, or in all files below a directory.
func sizeOf(t *testing.T, path string) (size int64) {
	t.Helper()
	err := filepath.WalkDir(path, func(_ string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return size
}
