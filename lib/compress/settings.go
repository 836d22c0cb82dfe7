package compress

import (
	"fmt"
	"regexp"

	"github.com/klauspost/compress/zstd"

	"chunkah/lib/compress/deflate"
)

// Algorithm is a compression algorithm, by the name that options and output use.
type Algorithm string

// The algorithms for which the image specification defines media types.
const (
	None Algorithm = "none"
	Gzip Algorithm = "gzip"
	Zstd Algorithm = "zstd"
)

// The default levels.
const (
	defaultGzipLevel = 6 // changes every digest
	defaultZstdLevel = 3 // changes every digest
)

// Stored is the gzip level without compression, for users who only need the format.
const Stored = -1

// Block sizes, in bytes of input. They do not depend on the machine.
const (
	// gzipBlockSize is a multiple of the size of the library's inner blocks, 65535 bytes, so that
	// no block ends with a small remainder. With one eighth of this size, the output is 0.1 %
	// larger and the speed a fifth lower, because each block reads its dictionary again. Four times
	// this size gains nothing measurable.
	gzipBlockSize = 16 * 65535 // changes every digest

	// zstdBlockSize is also the window size, because blocks are independent. On 400 MB of /usr, the
	// output is larger than that of zstd -3 by 2.2 % at 2 MiB, 1.3 % at 4 MiB and 0.8 % at 8 MiB.
	// Each worker keeps two to three blocks in memory. At the end of an image, all other workers
	// wait for the last block. So 8 MiB is too much.
	zstdBlockSize = 4 << 20 // changes every digest
)

// The module that writes the compressed bytes, and its version as in go.mod. Another version can
// write different bytes and change every digest, so the version is part of [Settings.Key].
const (
	libraryPath    = "github.com/klauspost/compress"
	libraryVersion = "v1.20.3" // changes every digest
)

// ParseAlgorithm returns the algorithm with that name.
func ParseAlgorithm(s string) (Algorithm, error) {
	switch a := Algorithm(s); a {
	case None, Gzip, Zstd:
		return a, nil
	default:
		return "", fmt.Errorf("unknown compression %q: expected none, gzip or zstd", s)
	}
}

// MediaTypeSuffix returns the suffix of the layer's media type: nothing, "+gzip" or "+zstd".
func (a Algorithm) MediaTypeSuffix() string {
	switch a {
	case Gzip:
		return "+gzip"
	case Zstd:
		return "+zstd"
	default:
		return ""
	}
}

// InDocker reports whether Docker's own formats have a media type for the algorithm.
func (a Algorithm) InDocker() bool { return a != Zstd }

// Settings select the algorithm and the level. Level 0 is the default, which is 6 for gzip and 3
// for zstd. gzip also accepts Stored.
type Settings struct {
	Algorithm Algorithm
	Level     int
}

// Validate returns an error for an unknown algorithm, or for a level that the algorithm does not
// support.
func (s Settings) Validate() error {
	switch s.Algorithm {
	case None:
		if s.Level != 0 {
			return fmt.Errorf("compression level %d: %q has no levels", s.Level, s.Algorithm)
		}
		return nil
	case Gzip:
		if s.Level == Stored {
			return nil
		}
	case Zstd:
	default:
		_, err := ParseAlgorithm(string(s.Algorithm))
		return err
	}
	if most := s.Algorithm.HighestLevel(); s.Level < 0 || s.Level > most {
		return fmt.Errorf("compression level %d: %s has levels 1 to %d", s.Level, s.Algorithm, most)
	}
	return nil
}

// HighestLevel returns the level with the smallest output, or 0 if the algorithm has no levels.
func (a Algorithm) HighestLevel() int {
	switch a {
	case Gzip:
		return 9
	case Zstd:
		return 22
	}
	return 0
}

// Key identifies the bytes that these settings produce: the algorithm, level, block size, library
// and library version. Caches use it. Settings that produce the same bytes have the same key, and a
// key never changes its meaning. It contains no spaces or slashes. The settings must be valid.
func (s Settings) Key() string {
	switch s.Algorithm {
	case Gzip:
		if level := s.gzipLevel(); level >= deflate.First {
			return fmt.Sprintf("gzip-%d-block%d-own-%d", level, gzipBlockSize, deflate.Version)
		}
		return fmt.Sprintf("gzip-%d-block%d-klauspost-%s", s.gzipLevel(), gzipBlockSize, libraryVersion)
	case Zstd:
		return fmt.Sprintf("zstd-%s-frame-block%d-klauspost-%s", s.zstdLevel(), zstdBlockSize, libraryVersion)
	default:
		return string(s.Algorithm)
	}
}

// keyForm matches the keys of all settings that compress.
var keyForm = regexp.MustCompile(`^(gzip|zstd)-[A-Za-z0-9._+-]+$`)

// IsKey reports whether a name has the form of a key, maybe of another version of chunkah.
func IsKey(name string) bool { return keyForm.MatchString(name) }

// gzipLevel returns the library's level, which has the same number. A change to the mapping changes
// every digest.
func (s Settings) gzipLevel() int {
	switch s.Level {
	case 0:
		return defaultGzipLevel
	case Stored:
		return 0
	}
	return s.Level
}

// zstdLevel returns the library's level for a level of the zstd command. The library contains a
// similar function, but documents that it can change. A change to this mapping changes every
// digest.
func (s Settings) zstdLevel() zstd.EncoderLevel {
	level := s.Level
	if level == 0 {
		level = defaultZstdLevel
	}
	switch {
	case level < 3:
		return zstd.SpeedFastest
	case level < 6:
		return zstd.SpeedDefault
	case level < 10:
		return zstd.SpeedBetterCompression
	default:
		return zstd.SpeedBestCompression
	}
}
