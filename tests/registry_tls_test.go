package tests

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"chunkah/tests/clients"
)

func TestRegistryWithTLS(t *testing.T) {
	clients.Need(t, "skopeo")
	home := newHome(t)
	certs := authority(t)
	host := clients.NewRegistry(t, clients.RegistryOptions{Cert: filepath.Join(certs, "server.pem"), Key: filepath.Join(certs, "server.key")})
	img := pushable(t, tarOf(t, "file", 1<<20))

	err := img.push(t.Context(), host, "team/app:1")
	if err == nil || !strings.Contains(err.Error(), "certificate signed by unknown authority") {
		t.Errorf("with an unknown certificate: %v", err)
	}
	folder := filepath.Join(home, ".config/containers/certs.d", host)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(certs, "ca.crt"), filepath.Join(folder, "ca.crt")); err != nil {
		t.Fatal(err)
	}
	if err := img.push(t.Context(), host, "team/app:1"); err != nil {
		t.Fatal(err)
	}
	samePull(t, host+"/team/app:1", img, "--src-cert-dir", folder)
	if resp, err := http.Get("http://" + host + "/v2/"); err == nil { // otherwise the tests above prove nothing
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			t.Error("the registry speaks plain HTTP")
		}
	}
}

// authority makes a directory with a certificate authority (ca.crt) and a certificate for 127.0.0.1
// (server.pem and server.key).
func authority(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	server := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "127.0.0.1"},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	caKey, serverKey := newKey(t), newKey(t)
	sign := func(name string, cert *x509.Certificate, key *ecdsa.PrivateKey) {
		der, err := x509.CreateCertificate(rand.Reader, cert, ca, &key.PublicKey, caKey)
		if err != nil {
			t.Fatal(err)
		}
		writePEM(t, filepath.Join(dir, name), "CERTIFICATE", der)
	}
	sign("ca.crt", ca, caKey)
	sign("server.pem", server, serverKey)
	der, err := x509.MarshalPKCS8PrivateKey(serverKey)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, filepath.Join(dir, "server.key"), "PRIVATE KEY", der)
	return dir
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	mode := os.FileMode(0o644) // other users' processes in the test read certificates
	if kind == "PRIVATE KEY" {
		mode = 0o600
	}
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode); err != nil {
		t.Fatal(err)
	}
}
