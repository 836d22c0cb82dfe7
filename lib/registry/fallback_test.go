package registry

import (
	"crypto/x509"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// On a system without certificates, connections use this program's own authorities. A process loads
// the system's certificates only once, so this test needs a process of its own.
func TestFallbackAuthorities(t *testing.T) {
	const child = "CHUNKAH_TEST_FALLBACK"
	if os.Getenv(child) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestFallbackAuthorities$")
		cmd.Env = append(os.Environ(), child+"=1", "SSL_CERT_FILE="+os.DevNull, "SSL_CERT_DIR="+t.TempDir())
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	if _, err := Open(Ref{Registry: "registry.example", Name: "app"}, Options{}); err != nil {
		t.Fatal(err)
	}
	tried := false
	for root := range bundle.Roots() {
		cert, err := x509.ParseCertificate(root.Certificate)
		if err != nil {
			t.Fatal(err)
		}
		tried = true
		at := cert.NotBefore.Add(time.Hour)
		_, err = cert.Verify(x509.VerifyOptions{CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
		if err != nil && root.Constraint == nil {
			t.Errorf("%v: %v", cert.Subject, err)
		}
	}
	if !tried {
		t.Error("the program contains no authorities")
	}
}
