package compress

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"
)

// TestGolden detects changed output. If it fails, the digests of all layers that were built with
// these settings will change, and clients will download all these layers again. If that is
// intended, change the values here, make sure that Settings.Key changes with them, and mention it
// under "Digests" in CHANGELOG.md.
//
// The values are the same on every processor and with the library's assembly left out (go test
// -tags noasm). The values for gzip levels from 6 on change with deflate.Version, not with the
// library.
func TestGolden(t *testing.T) {
	for _, c := range []struct {
		s    Settings
		size int
		want string
	}{
		{Settings{None, 0}, 1 << 20, "10152e15128b2f7ed494e7a1127c4364f7b21fb4613e4e42fcd56f106fe6f51c"},
		{Settings{Gzip, 6}, 5 << 20, "397c5c9c7b2859b0ff03820f0a465f9ab1790f6e477beac348893bc0ab5dbd86"},
		{Settings{Zstd, 3}, sampleSize, "afd5bc5338feac0ff0e4e7847bb2e294f0afe65ac300b20ffb877bb104ddde53"},
		{Settings{Gzip, 1}, 3 << 20, "552170e6b1b2bee19404525a08501c09dec5cd5312b6459ea446b88a8c9386c1"},
		{Settings{Gzip, 2}, 3 << 20, "4c930b6036ef68fe6c42e11f7c4b08118ddc47d6f551a56c901090b5eff3a114"},
		{Settings{Gzip, 3}, 3 << 20, "ef51abf59564495cbc932a368e4d08fe4ff3473b55555ee49dce5060de39704e"},
		{Settings{Gzip, 4}, 3 << 20, "404e0f3c23208b8a8c67ec0c1a49a73be012ef7ea9923cb68cc3eed0ce09fe6b"},
		{Settings{Gzip, 5}, 3 << 20, "923c9c6954328b3dd976014aed12038311bbb2fc4cc2ae7b243ffcdd64ad959a"},
		{Settings{Gzip, 7}, 3 << 20, "79961f449d6c8536eb960e60e78b76eea6d56d1785aa0cf418d536b08dfe71c7"},
		{Settings{Gzip, 8}, 3 << 20, "a727be6fb999f8bfa7d7d7eb33fda84b3e35fc72d42ca4b15de438688d2137b0"},
		{Settings{Gzip, 9}, 3 << 20, "a02061a671ae57d43166622299491949a79f054ffbff86a5915ea4772fcfdcf6"},
		{Settings{Zstd, 1}, 12 << 20, "be52a7472ba52018d92a9047f82b355ef999ad6267673d8a4252a4aa9ef1ee9b"},
		{Settings{Zstd, 6}, 12 << 20, "ba7bad17508d8de6ace1eefaecc55d550ad9ae961a9fcf70c3ef8b30db443109"},
		{Settings{Zstd, 10}, 12 << 20, "26193748638e882452b1de21195abc701e7ec36bcec6de4d67db18fc59f2cfba"},
	} {
		t.Run(fmt.Sprintf("%s-%d", c.s.Algorithm, c.s.Level), func(t *testing.T) {
			skipUnderRace(t, c.s)
			if testing.Short() && !isDefault(c.s) {
				t.Skip("takes seconds, and changes only with the library")
			}
			blob := pack(t, newPool(t, 2), c.s, sample(c.size), 1<<20)
			sum := sha256.Sum256(blob)
			if got := hex.EncodeToString(sum[:]); got != c.want {
				t.Errorf("%d bytes: digest %s, want %s", len(blob), got, c.want)
			}
		})
	}
}

// TestGoldenTiny pins whole blobs, so that a difference can be seen.
func TestGoldenTiny(t *testing.T) {
	for _, c := range []struct {
		s           Settings
		input, want string
	}{
		{Settings{Gzip, 6}, "", "1f8b08000000000000ff03000000000000000000"},
		{Settings{Gzip, 6}, "hello, layer", "1f8b08000000000000ffca48cdc9c9d751c849ac4c2d02000000ffff0300634207210c000000"},
		{Settings{Zstd, 3}, "", "28b52ffd0000010000"},
		{Settings{Zstd, 3}, "hello, layer", "28b52ffd000060000068656c6c6f2c206c61796572010000"},
	} {
		t.Run(fmt.Sprintf("%s/%d", c.s.Algorithm, len(c.input)), func(t *testing.T) {
			got := hex.EncodeToString(pack(t, newPool(t, 1), c.s, []byte(c.input), 1<<10))
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}
