// Package pyc reads the headers of compiled Python.
package pyc

import (
	"encoding/binary"
	"strings"
)

// HeaderSize is the number of header bytes that Time needs.
const HeaderSize = 12

// The header of compiled Python consists of the version's magic number followed by "\r\n", flags
// since Python 3.7 (PEP 552), and, if the flags are 0, the time of the source. All numbers are
// little-endian. Versions without flags store the time directly after the magic number: Python 3.0
// to 3.6 use magic numbers below magicFlags, and Python 2 uses numbers from magicPython2 on. PyPy
// uses magic numbers below magicPython3, and has flags.
const (
	magicPython3 = 3000
	magicFlags   = 3390
	magicPython2 = 20121
)

// Is reports whether a file with this path is compiled Python, according to its name.
func Is(path string) bool { return strings.HasSuffix(path, ".pyc") || strings.HasSuffix(path, ".pyo") }

// Time returns the source's time from a header, in unix seconds modulo 2^32. timed is false if the
// file is not compiled Python, or contains a hash instead of the time.
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

// Sources returns the paths from which a file may have been compiled: DIR/NAME.py for DIR/NAME.pyc
// and for DIR/__pycache__/NAME.TAG.pyc (PEP 3147, PEP 488). TAG can contain dots.
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
