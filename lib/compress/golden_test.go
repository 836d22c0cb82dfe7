package compress

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"
)

// TestGolden detects digest changes. If it fails, the digest of every layer with these settings
// changes, and clients download all of them again. If that is intended, change the values here,
// make sure that Settings.Key changes with them, and describe it under "Digests" in CHANGELOG.md.
//
// The values are the same on every processor, and without the library's assembly (go test -tags
// noasm).
func TestGolden(t *testing.T) {
	for _, c := range []struct {
		s    Settings
		size int
		want string
	}{
		{Settings{None, 0}, 1 << 20, "10152e15128b2f7ed494e7a1127c4364f7b21fb4613e4e42fcd56f106fe6f51c"},
		{Settings{Gzip, 6}, 5 << 20, "ae2255d141d220f03b006e5b87cfaba5f2304fbcae4cb09747f3d097691eb285"},
		{Settings{Zstd, 3}, sampleSize, "8702834c0771e1a68c7262eb80f8e13e17b35079b164da43ac7b09855631ccaa"},
		{Settings{Gzip, 1}, 3 << 20, "552170e6b1b2bee19404525a08501c09dec5cd5312b6459ea446b88a8c9386c1"},
		{Settings{Gzip, 2}, 3 << 20, "4c930b6036ef68fe6c42e11f7c4b08118ddc47d6f551a56c901090b5eff3a114"},
		{Settings{Gzip, 3}, 3 << 20, "ef51abf59564495cbc932a368e4d08fe4ff3473b55555ee49dce5060de39704e"},
		{Settings{Gzip, 4}, 3 << 20, "404e0f3c23208b8a8c67ec0c1a49a73be012ef7ea9923cb68cc3eed0ce09fe6b"},
		{Settings{Gzip, 5}, 3 << 20, "923c9c6954328b3dd976014aed12038311bbb2fc4cc2ae7b243ffcdd64ad959a"},
		{Settings{Gzip, 7}, 3 << 20, "8c729d8ff284abb8e736240039d3e033dda2744db53f813fcb1b656dd196dcae"},
		{Settings{Gzip, 8}, 3 << 20, "caf79b5d63be3dddbcd61b6ba1239665666edb95635bde3dfe69335fa618cb47"},
		{Settings{Gzip, 9}, 3 << 20, "49d4e0d63bf528b2af068116638fa07bb777da16a4a10e5fc68b9092d59db365"},
		{Settings{Zstd, 1}, 12 << 20, "9b7d95da458f8e1d17d6ce29fce2eec1eebc3286646e96a46e3bb3de101799c5"},
		{Settings{Zstd, 6}, 12 << 20, "a85916536a6a02f5825f53e28a1fed8dec951d3dd2521109d21271db483de4dd"},
		{Settings{Zstd, 10}, 12 << 20, "21760704a744b9329e509ea6f027b58d303a664f1d82bfcd42f02b42235a75fb"},
	} {
		t.Run(fmt.Sprintf("%s-%d", c.s.Algorithm, c.s.Level), func(t *testing.T) {
			skipUnderRace(t, c.s)
			if testing.Short() && !isDefault(c.s) {
				t.Skip("slow, and changes only with the library")
			}
			blob := pack(t, newPool(t, 2), c.s, sample(c.size), 1<<20)
			sum := sha256.Sum256(blob)
			if got := hex.EncodeToString(sum[:]); got != c.want {
				t.Errorf("%d bytes: digest %s, want %s", len(blob), got, c.want)
			}
		})
	}
}

// TestGoldenTiny pins whole blobs, so that differences are readable.
func TestGoldenTiny(t *testing.T) {
	for _, c := range []struct {
		s           Settings
		input, want string
	}{
		{Settings{Gzip, 6}, "", "1f8b08000000000000ff03000000000000000000"},
		{Settings{Gzip, 6}, "hello, layer", "1f8b08000000000000ff000c00f3ff68656c6c6f2c206c61796572000000ffff0300634207210c000000"},
		{Settings{Zstd, 3}, "", "28b52ffd2000010000"},
		{Settings{Zstd, 3}, "hello, layer", "28b52ffd040061000068656c6c6f2c206c617965720416b73b"},
	} {
		t.Run(fmt.Sprintf("%s/%d", c.s.Algorithm, len(c.input)), func(t *testing.T) {
			got := hex.EncodeToString(pack(t, newPool(t, 1), c.s, []byte(c.input), 1<<10))
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}
