package registry

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// trustFallback makes connections accept the certificate authorities that are embedded in this
// program if the system has none, for example in an image built from scratch. It parses more than a
// hundred certificates, which takes longer than anything else at the start of a command. So it runs
// only before the first connection.
var trustFallback = sync.OnceFunc(func() {
	roots := x509.NewCertPool()
	for root := range bundle.Roots() {
		cert, err := x509.ParseCertificate(root.Certificate)
		if err != nil {
			panic(err) // the certificates are part of this program
		}
		if root.Constraint == nil {
			roots.AddCert(cert)
		} else {
			roots.AddCertWithConstraint(cert, root.Constraint)
		}
	}
	x509.SetFallbackRoots(roots)
})

// certDirs returns the possible certificate directories of a registry. Only the first existing
// directory is used.
func certDirs() []string {
	dirs := []string{"/etc/containers/certs.d", "/etc/docker/certs.d"}
	if home, err := os.UserHomeDir(); err == nil {
		dirs = append([]string{filepath.Join(home, ".config/containers/certs.d")}, dirs...)
	}
	return dirs
}

// tlsConfig returns the trusted authorities and client certificates for host.
func tlsConfig(host string, insecure bool) (*tls.Config, error) {
	trustFallback()
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: insecure}
	for _, dir := range certDirs() {
		dir = filepath.Join(dir, host)
		entries, err := os.ReadDir(dir)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			continue // another user's directory, which podman and docker ignore too
		}
		if err != nil {
			return nil, fmt.Errorf("reading the certificates of %q: %w", host, err)
		}
		if err := addCertificates(config, dir, entries); err != nil {
			return nil, fmt.Errorf("reading the certificates of %q: %w", host, err)
		}
		break
	}
	return config, nil
}

func addCertificates(config *tls.Config, dir string, entries []fs.DirEntry) error {
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch filepath.Ext(path) {
		case ".crt":
			if err := addAuthority(config, path); err != nil {
				return err
			}
		case ".cert":
			pair, err := tls.LoadX509KeyPair(path, strings.TrimSuffix(path, ".cert")+".key")
			if err != nil {
				return fmt.Errorf("reading the client certificate %q and its key: %w", path, err)
			}
			config.Certificates = append(config.Certificates, pair)
		}
	}
	return nil
}

// addAuthority adds an authority to the authorities that the system trusts.
func addAuthority(config *tls.Config, path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if config.RootCAs == nil {
		if config.RootCAs, err = x509.SystemCertPool(); err != nil {
			return fmt.Errorf("reading the system's certificates: %w", err)
		}
	}
	if !config.RootCAs.AppendCertsFromPEM(data) {
		return fmt.Errorf("reading %q: no certificate in PEM format found", path)
	}
	return nil
}
