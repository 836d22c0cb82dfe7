package doctor

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"chunkah/format"
)

// maxHead is how much of a file is read at most, in bytes: a page.
const maxHead = 4096

// head returns the first n bytes of a file, or all where it has less.
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

// identified reports whether a machine ID is that of a machine: it is empty where it is to be made,
// and "uninitialized" where the first boot is yet to come (machine-id(5)).
func identified(e *Examiner, f *format.File) (bool, error) {
	if f.Type != format.TypeFile || f.Size == 0 {
		return false, nil
	}
	data, err := e.head(f, maxHead)
	id := string(bytes.TrimSpace(data))
	return id != "" && id != "uninitialized", err
}

// ofBuilder reports whether /etc/hostname or /etc/resolv.conf tells of a machine: no package has
// brought it, and it has more than a name for any machine, or comments.
func ofBuilder(e *Examiner, f *format.File) (bool, error) {
	if _, bounded := e.bound(f); bounded || f.Type != format.TypeFile || f.Size == 0 {
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
