package doctor

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"chunkah/format"
)

// maxHead is the largest number of bytes that are read from a file. It is one page.
const maxHead = 4096

// head returns the first n bytes of a file, or the whole file if it is shorter.
func (e *Examiner) head(f *format.File, n int) ([]byte, error) {
	file, err := e.opt.Root.OpenFile(f.Path)
	if err != nil {
		return nil, err
	}
	defer file.Close() // it was only read
	data := make([]byte, n)
	got, err := io.ReadFull(file, data)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("reading %q: %w", f.Path, err)
	}
	return data[:got], nil
}

// hasMachineID reports whether a machine ID is set. An empty file is filled at boot, and
// "uninitialized" is the content until the first boot (machine-id(5)).
func hasMachineID(e *Examiner, f *format.File) (bool, error) {
	if f.Type != format.TypeFile || f.Size == 0 {
		return false, nil
	}
	data, err := e.head(f, maxHead)
	id := string(bytes.TrimSpace(data))
	return id != "" && id != "uninitialized", err
}

// fromBuildMachine reports whether /etc/hostname or /etc/resolv.conf was copied from the build
// machine. This is the case if no package owns the file, and it contains more than comments or a
// generic name.
func fromBuildMachine(e *Examiner, f *format.File) (bool, error) {
	if e.bound(f) || f.Type != format.TypeFile || f.Size == 0 {
		return false, nil
	}
	data, err := e.head(f, maxHead)
	if err != nil {
		return false, err
	}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";"):
		case f.Path == "/etc/hostname":
			return line != "localhost" && line != "localhost.localdomain", nil
		case strings.HasPrefix(line, "nameserver"):
			return true, nil
		}
	}
	return false, nil
}
