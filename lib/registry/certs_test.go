package registry

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The first certificate directory of a registry contains its authority and a client certificate.
func TestClientCertificates(t *testing.T) {
	noCredentials(t)
	home := t.TempDir()
	t.Setenv("HOME", home)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) == 0 || r.TLS.PeerCertificates[0].SerialNumber.Int64() != 42 {
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "https://")
	dir := filepath.Join(home, ".config/containers/certs.d", host)
	ping := func() error {
		c := &clock{}
		repo, err := Open(Ref{Registry: host, Name: "app"}, c.options())
		if err != nil {
			return err
		}
		resp, err := repo.send(t.Context(), request{method: http.MethodGet, url: repo.url("manifests", "1")}, http.StatusOK)
		if err == nil {
			drop(resp)
		}
		return err
	}
	contains(t, ping(), "certificate")
	writeFile(t, filepath.Join(dir, "ca.crt"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	contains(t, ping(), "403 Forbidden")

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	client := &x509.Certificate{SerialNumber: big.NewInt(42), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, client, client, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "client.cert"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	contains(t, ping(), "reading the client certificate", "client.key")
	writeFile(t, filepath.Join(dir, "client.key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})))
	if err := ping(); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "other.crt"), []byte("none"), 0o644); err != nil {
		t.Fatal(err)
	}
	contains(t, ping(), "no certificate in PEM format found")
}
