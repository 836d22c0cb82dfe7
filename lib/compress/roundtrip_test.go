package compress

import (
	"bytes"
	stdgzip "compress/gzip"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// unpack decompresses a blob with a reader that accepts no trailing data.
func unpack(t testing.TB, a Algorithm, blob []byte) []byte {
	t.Helper()
	var r io.Reader = bytes.NewReader(blob)
	switch a {
	case Gzip:
		z, err := stdgzip.NewReader(r)
		if err != nil {
			t.Fatal(err)
		}
		z.Multistream(false) // a single member
		rest := r
		defer func() {
			if n, _ := io.Copy(io.Discard, rest); n != 0 {
				t.Errorf("%d bytes after the gzip member", n)
			}
		}()
		r = z
	case Zstd:
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20))
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		r = z
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// allSettings returns settings for each kind of output.
func allSettings() []Settings {
	all := []Settings{{None, 0}, {Gzip, Stored}, {Zstd, 1}, {Zstd, 3}, {Zstd, 6}, {Zstd, 10}}
	for level := 1; level <= 9; level++ {
		all = append(all, Settings{Gzip, level})
	}
	return all
}

func TestRoundTrip(t *testing.T) {
	p := newPool(t, 2)
	for _, s := range allSettings() {
		block := 1 << 20
		if s.Algorithm != None {
			block = s.plan().blockSize
		}
		sizes := []int{0, 1, 2, 127, 128, 129, 32767, 32768, smallBuffer, smallBuffer + 1, 128<<10 + 1}
		if isDefault(s) || !testing.Short() {
			sizes = append(sizes, block+100)
		}
		if isDefault(s) || s.Algorithm == Gzip && !testing.Short() {
			sizes = append(sizes, block-1, block, block+1, 2*block)
		}
		for _, n := range sizes {
			t.Run(fmt.Sprintf("%s-%d/%d", s.Algorithm, s.Level, n), func(t *testing.T) {
				skipUnderRace(t, s)
				data := sample(n)
				if got := unpack(t, s.Algorithm, pack(t, p, s, data, 64<<10)); !bytes.Equal(got, data) {
					t.Errorf("%d bytes became %d other bytes", n, len(got))
				}
			})
		}
	}
}

// TestRoundTripKinds uses data that compressors treat specially: noise and zeros.
func TestRoundTripKinds(t *testing.T) {
	p := newPool(t, 2)
	noise := pack(t, p, Settings{Gzip, 1}, sample(12<<20), 64<<10)
	zeros := make([]byte, 3<<20)
	if testing.Short() {
		noise, zeros = noise[:len(noise)/4], zeros[:len(zeros)/4]
	}
	for _, s := range allSettings() {
		for name, data := range map[string][]byte{"noise": noise, "zeros": zeros} {
			t.Run(fmt.Sprintf("%s-%d/%s", s.Algorithm, s.Level, name), func(t *testing.T) {
				skipUnderRace(t, s)
				blob := pack(t, p, s, data, 1<<20)
				if len(blob) > len(data)+len(data)/1000+64 {
					t.Errorf("%d bytes grew to %d", len(data), len(blob))
				}
				if got := unpack(t, s.Algorithm, blob); !bytes.Equal(got, data) {
					t.Error("the data changed")
				}
			})
		}
	}
}

// TestOtherReaders decompresses blobs that consist of several blocks with the usual tools.
func TestOtherReaders(t *testing.T) {
	p := newPool(t, 2)
	data := sample(severalBlocks)
	type input struct {
		algorithm Algorithm
		size      int
	}
	blobs := map[input][]byte{}
	for _, c := range []struct {
		algorithm Algorithm
		command   []string
	}{
		{Gzip, []string{"gzip", "-dc"}},
		{Gzip, []string{"pigz", "-dc"}},
		{Gzip, []string{"python3", "-c", "import sys,gzip; sys.stdout.buffer.write(gzip.decompress(sys.stdin.buffer.read()))"}},
		{Zstd, []string{"zstd", "-dc"}},
		{Zstd, []string{"zstd", "-dc", "--memory=8MB"}},
		{Zstd, []string{"bsdcat"}},
	} {
		for _, n := range []int{0, 1000, len(data)} {
			t.Run(fmt.Sprintf("%v/%d", c.command[:1], n), func(t *testing.T) {
				if _, err := exec.LookPath(c.command[0]); err != nil {
					t.Skip(err)
				}
				in := input{c.algorithm, n}
				if blobs[in] == nil {
					blobs[in] = pack(t, p, Settings{Algorithm: c.algorithm}, data[:n], 1<<20)
				}
				cmd := exec.CommandContext(t.Context(), c.command[0], c.command[1:]...)
				cmd.Stdin = bytes.NewReader(blobs[in])
				got, err := cmd.Output()
				if err != nil {
					var exit *exec.ExitError
					errors.As(err, &exit)
					t.Fatalf("%v: %v: %s", c.command, err, exit.Stderr)
				}
				if !bytes.Equal(got, data[:n]) {
					t.Errorf("%v: the data changed", c.command)
				}
			})
		}
	}
}
