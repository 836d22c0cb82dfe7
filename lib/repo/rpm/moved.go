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

// The digests of files, by rpm's numbers (those of RFC 4880, section 9.4).
const algoMD5 = 1

var algos = map[uint64]func() hash.Hash{
	algoMD5: md5.New,
	2:       sha1.New,
	8:       sha256.New,
	9:       sha512.New384,
	10:      sha512.New,
	11:      sha256.New224,
}

// hashBuffer is how much is read at once, in bytes.
const hashBuffer = 256 << 10

// contents says that a component lists a file with a digest, of which the first
// 64 bits are enough to tell that another component might list the same.
type contents struct {
	start     uint64
	component int32
}

// missing is a regular file that is not at its path.
type missing struct {
	key       digest
	size      int64
	component int
}

// digest is a file's digest in hexadecimal, with the function it was made by.
type digest struct {
	algo uint64
	hex  string
}

// know keeps the digest of a regular file that has any contents. It reports
// whether the file could be found by it.
func (c *collector) know(i int, algo uint64, f *listed) bool {
	if f.mode&unix.S_IFMT != unix.S_IFREG || f.size <= 0 || len(f.digest) < 16 {
		return false
	}
	start, err := strconv.ParseUint(f.digest[:16], 16, 64)
	if err != nil {
		return false
	}
	c.digests = append(c.digests, contents{start: start, component: int32(i)})
	return algos[algo] != nil
}

func (c *collector) miss(i int, algo uint64, f *listed) {
	key := digest{algo: algo, hex: strings.ToLower(f.digest)}
	c.missing = append(c.missing, missing{key: key, size: f.size, component: i})
}

// ambiguous is the component of contents that more than one lists.
const ambiguous = -1

// search looks for missing files among the unclaimed ones.
type search struct {
	tree   *assign.Tree
	owners map[digest]int            // component, or ambiguous
	sizes  map[int64]map[uint64]bool // size -> functions to try
	buf    []byte
}

// moved returns the weak claims: unclaimed regular files whose contents one
// component, and no other, lists for a path that is not there. rank turns numbers
// of components into those of the result.
func (c *collector) moved(rank []int) func(context.Context) ([]assign.Claim, error) {
	s := &search{tree: c.tree, owners: make(map[digest]int), sizes: make(map[int64]map[uint64]bool)}
	starts := make(map[uint64][]digest)
	for _, m := range c.missing {
		owner, listed := s.owners[m.key]
		switch {
		case !listed:
			s.owners[m.key] = m.component
			start, _ := strconv.ParseUint(m.key.hex[:16], 16, 64) // as know did
			starts[start] = append(starts[start], m.key)
		case owner != m.component:
			s.owners[m.key] = ambiguous
		}
		if s.sizes[m.size] == nil {
			s.sizes[m.size] = make(map[uint64]bool)
		}
		s.sizes[m.size][m.key.algo] = true
	}
	for _, d := range c.digests {
		for _, key := range starts[d.start] {
			if s.owners[key] != int(d.component) {
				s.owners[key] = ambiguous
			}
		}
	}
	for key, owner := range s.owners {
		if owner != ambiguous {
			s.owners[key] = rank[owner]
		}
	}
	c.missing, c.digests = nil, nil
	return s.run
}

func (s *search) run(ctx context.Context) ([]assign.Claim, error) {
	var claims []assign.Claim
	linked := make(map[int64]int) // hard-link group -> owner
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
		if owner != ambiguous {
			claims = append(claims, assign.Claim{File: i, Component: owner})
		}
	}
	return claims, nil
}

// owner returns the component that lists a file's contents, ambiguous for none or
// several.
func (s *search) owner(ctx context.Context, f *format.File) (_ int, err error) {
	file, err := s.tree.Root.OpenFile(f.Path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	st, err := file.Stat()
	if err != nil {
		return 0, err
	}
	tried := s.sizes[st.Size]
	if len(tried) == 0 {
		return ambiguous, nil
	}
	sums := make(map[uint64]hash.Hash, len(tried))
	for algo := range tried {
		sums[algo] = algos[algo]()
	}
	if err := s.hash(ctx, file, sums); err != nil {
		return 0, err
	}
	owner := ambiguous
	for algo, sum := range sums {
		found, ok := s.owners[digest{algo, hex.EncodeToString(sum.Sum(nil))}]
		switch {
		case !ok:
		case found == ambiguous, owner != ambiguous && owner != found:
			return ambiguous, nil
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
