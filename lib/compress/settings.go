package compress

import (
	"fmt"

	"github.com/klauspost/compress/zstd"

	"chunkah/lib/compress/deflate"
)

// Algorithm says how a blob is compressed. Its text is what a user writes and reads.
type Algorithm string

// The algorithms that the image specification has media types for.
const (
	None Algorithm = "none"
	Gzip Algorithm = "gzip"
	Zstd Algorithm = "zstd"
)

// Levels where a user names none.
const (
	defaultGzipLevel = 6 // changes every digest
	defaultZstdLevel = 3 // changes every digest
)

// Stored is a level of gzip that does not compress: for those who want the format alone.
const Stored = -1

// Sizes of the blocks that are compressed at a time, in bytes of input. They do not depend on the
// machine.
const (
	// gzipBlockSize is sixteen of the library's inner blocks of 65535 bytes, so that no block ends
	// with a remnant of a few bytes. An eighth of it costs 0.1 % of size and a fifth of the speed,
	// because the dictionary is read again for each block; four times as much gains nothing that
	// could be measured.
	gzipBlockSize = 16 * 65535 // changes every digest

	// zstdBlockSize is also the window: a block knows nothing of the one before it. Measured on 400
	// MB of /usr, the output is 2.2 % larger than that of zstd -3 at 2 MiB, 1.3 % at 4 MiB and 0.8
	// % at 8 MiB. Each worker holds two to three of these in memory, and at the end of an image the
	// others wait for the one that has the last: so not 8.
	zstdBlockSize = 4 << 20 // changes every digest
)

// library is the module that writes the compressed bytes, and its version as go.mod has it. Another
// version may write other bytes: it changes every digest, and is part of [Settings.Key].
const (
	libraryPath    = "github.com/klauspost/compress"
	libraryVersion = "v1.20.3" // changes every digest
)

// ParseAlgorithm returns the algorithm of that name.
func ParseAlgorithm(s string) (Algorithm, error) {
	switch a := Algorithm(s); a {
	case None, Gzip, Zstd:
		return a, nil
	default:
		return "", fmt.Errorf("unknown compression %q: want none, gzip or zstd", s)
	}
}

// MediaTypeSuffix returns what the algorithm adds to the media type of a layer: nothing, "+gzip" or
// "+zstd".
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

// Settings say how to compress. Level 0 is the algorithm's default: 6 for gzip, 3 for zstd; gzip
// has Stored too.
type Settings struct {
	Algorithm Algorithm
	Level     int
}

// Validate reports an algorithm that does not exist, or a level that it does not have.
func (s Settings) Validate() error {
	var most int
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
		most = 9
	case Zstd:
		most = 22
	default:
		_, err := ParseAlgorithm(string(s.Algorithm))
		return err
	}
	if s.Level < 0 || s.Level > most {
		return fmt.Errorf("compression level %d: %s has levels 1 to %d", s.Level, s.Algorithm, most)
	}
	return nil
}

// Key names the bytes that these settings make of an input: algorithm, level, block size, library
// and its version. It is meant for caches: two settings that write the same bytes have the same
// key, and a key never comes to mean other bytes. It has no spaces or slashes. The settings must be
// valid.
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

// gzipLevel returns the library's level. The numbers are the user's own; the mapping changes every
// digest.
func (s Settings) gzipLevel() int {
	switch s.Level {
	case 0:
		return defaultGzipLevel
	case Stored:
		return 0
	}
	return s.Level
}

// zstdLevel returns the library's level for a level of the zstd command. The library has such a
// function, but says that it may change; this mapping changes every digest.
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
