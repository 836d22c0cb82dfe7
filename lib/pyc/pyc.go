// Package pyc reads the headers of compiled Python.
package pyc

import (
	"encoding/binary"
	"strings"
)

// HeaderSize is the number of bytes of a header that Time reads.
const HeaderSize = 12

// The header of compiled Python: the magic number of the version followed by "\r\n", flags since
// Python 3.7 (PEP 552), and the time of the source where those are 0. All numbers are
// little-endian. Magic numbers below magicFlags belong to Python 3.0 to 3.6, from magicPython2 on
// to Python 2: they have the time in place of the flags. PyPy's own, below magicPython3, have
// flags.
const (
	magicPython3 = 3000
	magicFlags   = 3390
	magicPython2 = 20121
)

// Is reports whether a file of that path is compiled Python by its name.
func Is(path string) bool { return strings.HasSuffix(path, ".pyc") || strings.HasSuffix(path, ".pyo") }

// Time returns the time of the source in a header, in unix seconds modulo 2^32; false if the file
// is not compiled Python, or has a hash instead of the time.
func Time(header []byte) (time uint32, timed bool) {
	if len(header) < HeaderSize || header[2] != '\r' || header[3] != '\n' {
		return 0, false
	}
	first, second := binary.LittleEndian.Uint32(header[4:]), binary.LittleEndian.Uint32(header[8:])
	magic := binary.LittleEndian.Uint16(header)
	if magic >= magicPython2 || magic >= magicPython3 && magic < magicFlags {
		return first, true
	}
	return second, first == 0
}

// Sources are the paths that a file can be compiled from: DIR/NAME.py of DIR/NAME.pyc and of
// DIR/__pycache__/NAME.TAG.pyc (PEP 3147, PEP 488), whose tag can have dots.
func Sources(path string) (list []string) {
	cut := strings.LastIndexByte(path, '/')
	above, cached := strings.CutSuffix(path[:cut], "/__pycache__")
	if !cached {
		return []string{path[:len(path)-1]}
	}
	name := strings.TrimSuffix(path[cut+1:len(path)-1], ".py")
	for dot := strings.LastIndexByte(name, '.'); dot > 0; dot = strings.LastIndexByte(name, '.') {
		name = name[:dot]
		list = append(list, above+"/"+name+".py")
	}
	return list
}
