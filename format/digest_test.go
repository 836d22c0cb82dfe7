package format

import (
	"crypto/sha256"
	"strings"
	"testing"
)

func TestDigest(t *testing.T) {
	sum := sha256.Sum256([]byte("a"))
	d := NewDigest(sum)
	text := "sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
	if got := d.String(); got != text {
		t.Errorf("the digest is %q, want %q", got, text)
	}
	if parsed, valid := ParseDigest(text); !valid || parsed != d || !parsed.Known() {
		t.Errorf("parsing %q gives %q, %t", text, parsed, valid)
	}
	for _, wrong := range []string{"", "sha256:", text[:70], text + "0", strings.ToUpper(text), "sha512:" + text[7:], text[:70] + "g"} {
		if d, valid := ParseDigest(wrong); valid || d.Known() {
			t.Errorf("%q is a valid digest: %q", wrong, d)
		}
	}
	if text := (Digest{}).String(); text != "" {
		t.Errorf("an unknown digest is %q, want an empty text", text)
	}
}
