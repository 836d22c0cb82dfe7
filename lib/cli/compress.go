package cli

import (
	"slices"
	"strconv"

	"chunkah/lib/compress"
	"chunkah/lib/names"
)

// compressFlags select the compression of layers.
type compressFlags struct {
	Compress string `long:"compress" value-name:"none|gzip|zstd|zstd:chunked" unquote:"false" description:"compression of the layers (default: none, or gzip for a registry). With zstd:chunked, podman can download only the missing parts of a layer" section:"Output" brief:"compression (default: none)"`
	Level    string `long:"level" value-name:"N" unquote:"false" description:"compression level: gzip 0 (no compression) to 9, zstd 1 to 22, or max (default: 6 for gzip, 3 for zstd)" brief:"gzip 0 to 9, zstd 1 to 22, max (default: 6, 3)"`
}

// chunkedName is the value of --compress for zstd:chunked.
const chunkedName = "zstd:chunked"

// compression returns the compression settings, and whether layers are zstd:chunked. By default,
// layers are uncompressed, except for registries. For these, the default is gzip, because no client
// compresses the layers later.
func (f *compressFlags) compression(outputs []names.Output) (s compress.Settings, chunked bool, err error) {
	s.Algorithm = compress.None
	switch {
	case f.Compress == chunkedName:
		s.Algorithm, chunked = compress.Zstd, true
	case f.Compress != "":
		if s.Algorithm, err = compress.ParseAlgorithm(f.Compress); err != nil {
			return s, false, usagef("--compress: unknown compression %q: expected none, gzip, zstd or %s", f.Compress, chunkedName)
		}
	case slices.ContainsFunc(outputs, func(o names.Output) bool { return o.Network }):
		s.Algorithm = compress.Gzip
	}
	for _, o := range outputs {
		if o.DockerFormat && !s.Algorithm.InDocker() {
			return s, false, usagef("--compress %s: docker load supports %s only in Docker 23 and later; use gzip or none with %s", f.Compress, s.Algorithm, o.Prefix)
		}
	}
	s.Level, err = f.level(s)
	return s, chunked, err
}

// level returns the level of the settings.
func (f *compressFlags) level(s compress.Settings) (int, error) {
	switch {
	case f.Level == "":
		return 0, nil
	case s.Algorithm == compress.None:
		return 0, usagef("--level %s has no effect without --compress gzip or zstd", f.Level)
	case f.Level == "max":
		return s.Algorithm.HighestLevel(), nil
	}
	n, err := strconv.Atoi(f.Level)
	if err != nil || n < 0 {
		return 0, usagef("--level %q is not a compression level", f.Level)
	}
	if s.Level = n; n == 0 {
		s.Level = compress.Stored
	}
	if err := s.Validate(); err != nil {
		return 0, usagef("--level: %w", err)
	}
	return s.Level, nil
}
