package write

import (
	"sync"

	"chunkah/format"
)

// SmallFiles stores the contents of small files after their first reading in a run. The next
// reading then checks only the files' metadata, because opening a small file takes longer than
// reading it. Only files whose records have a stamp are stored. A nil SmallFiles stores nothing.
type SmallFiles struct {
	mu    sync.Mutex
	left  int // remaining bytes of maxSmall
	chunk []byte
	of    map[string][]byte // contents by path
}

const (
	smallFile  = 4 << 10  // the largest file that is kept, in bytes
	maxSmall   = 16 << 20 // the total size of all files that are kept, in bytes
	smallChunk = 256 << 10
)

// NewSmallFiles returns SmallFiles without contents.
func NewSmallFiles() *SmallFiles {
	return &SmallFiles{left: maxSmall, of: make(map[string][]byte)}
}

// keep keeps a file's contents, if there is room.
func (s *SmallFiles) keep(f *format.File, data []byte) {
	if s == nil || f.Stamp == "" || len(data) > smallFile {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left -= len(data); s.left < 0 {
		s.left = 0
		return
	}
	if len(s.chunk)+len(data) > cap(s.chunk) {
		s.chunk = make([]byte, 0, smallChunk)
	}
	from := len(s.chunk)
	s.chunk = append(s.chunk, data...)
	s.of[f.Path] = s.chunk[from:len(s.chunk):len(s.chunk)]
}

// contents returns a file's contents, or nil.
func (s *SmallFiles) contents(f *format.File) []byte {
	if s == nil || f.Size > smallFile || f.Stamp == "" {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.of[f.Path]
}
