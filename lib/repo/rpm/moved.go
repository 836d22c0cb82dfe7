package rpm

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/rootfs"
)

// File digest algorithms by rpm's numbers, which are the same as in RFC 4880, section 9.4.
const algoMD5 = 1

var algos = map[uint64]func() hash.Hash{
	algoMD5: md5.New,
	2:       sha1.New,
	8:       sha256.New,
	9:       sha512.New384,
	10:      sha512.New,
	11:      sha256.New224,
}

// hashBuffer is the size of one read, in bytes.
const hashBuffer = 256 << 10

// contents is a digest that a component lists. The first 64 bits are enough to rule out that
// another component lists the same digest.
type contents struct {
	start     uint64
	component *format.Component
}

// missing is a regular file that is listed but does not exist at its path.
type missing struct {
	key  digest
	size int64
	pkg  *assign.Package
}

// digest is a file's digest in hexadecimal, with its hash function.
type digest struct {
	algo uint64
	hex  string
}

// remember records the listed digest of a regular file that is not empty. It reports whether the
// file can be found by this digest.
func (l *loader) remember(p *assign.Package, algo uint64, f *listed) bool {
	if f.mode&unix.S_IFMT != unix.S_IFREG || f.size <= 0 || len(f.digest) < 16 {
		return false
	}
	start, err := strconv.ParseUint(f.digest[:16], 16, 64)
	if err != nil {
		return false
	}
	l.digests = append(l.digests, contents{start: start, component: p.Component})
	return algos[algo] != nil
}

func (l *loader) miss(p *assign.Package, algo uint64, f *listed) {
	key := digest{algo: algo, hex: strings.ToLower(f.digest)}
	l.missing = append(l.missing, missing{key: key, size: f.size, pkg: p})
}

// search looks for missing files among the unclaimed ones.
type search struct {
	tree   *assign.Tree
	owners map[digest]*assign.Package // nil if several components list the contents
	sizes  map[int64]map[uint64]bool  // size -> hash functions to try
	buf    []byte
}

// newSearch creates a search for the missing files of a loader.
func newSearch(l *loader) *search {
	s := &search{tree: l.tree, owners: make(map[digest]*assign.Package), sizes: make(map[int64]map[uint64]bool)}
	starts := make(map[uint64][]digest)
	for _, m := range l.missing {
		owner, listed := s.owners[m.key]
		switch {
		case !listed:
			s.owners[m.key] = m.pkg
			start, _ := strconv.ParseUint(m.key.hex[:16], 16, 64) // as in remember
			starts[start] = append(starts[start], m.key)
		case owner != nil && owner.Component != m.pkg.Component:
			s.owners[m.key] = nil
		}
		if s.sizes[m.size] == nil {
			s.sizes[m.size] = make(map[uint64]bool)
		}
		s.sizes[m.size][m.key.algo] = true
	}
	for _, d := range l.digests {
		for _, key := range starts[d.start] {
			if owner := s.owners[key]; owner != nil && owner.Component != d.component {
				s.owners[key] = nil
			}
		}
	}
	return s
}

// run claims each unclaimed regular file that has the contents of a missing file, if exactly one
// component lists these contents.
func (s *search) run(ctx context.Context) (*assign.Result, error) {
	r := &assign.Result{}
	linked := make(map[int64]*assign.Package) // by hard-link group
	s.buf = make([]byte, hashBuffer)
	for i, f := range s.tree.Files {
		if f.Type != format.TypeFile || s.tree.Claimed(i) || f.Size != format.SizeUnknown && s.sizes[f.Size] == nil {
			continue
		}
		owner, done := linked[f.Hardlink]
		if f.Hardlink == 0 || !done {
			var err error
			if owner, err = s.owner(ctx, f); err != nil {
				return nil, err
			}
			linked[f.Hardlink] = owner
		}
		if owner != nil {
			r.Claims = append(r.Claims, assign.Claim{File: i, Package: owner})
		}
	}
	return r, nil
}

// owner returns the package that lists a file's contents. It returns nil if no component or several
// components list them.
func (s *search) owner(ctx context.Context, f *format.File) (owner *assign.Package, err error) {
	file, err := s.tree.Root.OpenFile(f.Path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	st, err := file.Stat()
	if err != nil {
		return nil, err
	}
	tried := s.sizes[st.Size]
	if len(tried) == 0 {
		return nil, nil
	}
	sums := make(map[uint64]hash.Hash, len(tried))
	for algo := range tried {
		sums[algo] = algos[algo]()
	}
	if err := s.hash(ctx, file, sums); err != nil {
		return nil, err
	}
	for algo, sum := range sums {
		found, ok := s.owners[digest{algo, hex.EncodeToString(sum.Sum(nil))}]
		switch {
		case !ok:
		case found == nil, owner != nil && owner.Component != found.Component:
			return nil, nil
		default:
			owner = found
		}
	}
	return owner, nil
}

func (s *search) hash(ctx context.Context, file *rootfs.File, sums map[uint64]hash.Hash) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := file.Read(s.buf)
		for _, sum := range sums {
			sum.Write(s.buf[:n])
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("looking for moved files: %w", err)
		}
	}
}
