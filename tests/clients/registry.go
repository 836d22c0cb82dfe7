package clients

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The user of a registry with a password. The registry supports only bcrypt hashes. This hash has
// the lowest cost.
const (
	RegistryUser     = "user"
	RegistryPassword = "secret"
	registryHash     = "$2b$05$1QnpzZgkVrlAdnHwZnYbj.827EgrYQMcbOW.iSWzZxpJLgIZPpTR2"
)

// RegistryOptions specify how clients must connect to a registry. With the zero value,
// everybody can connect over plain HTTP.
type RegistryOptions struct {
	Password  bool   // only RegistryUser can log in
	Cert, Key string // files in PEM form, for TLS
}

var listening = regexp.MustCompile(`listening on (127\.0\.0\.1:\d+)`)

// NewRegistry starts an empty registry on a loopback address and returns its HOST:PORT. The
// registry is stopped when the test ends.
func NewRegistry(t testing.TB, opt RegistryOptions) string {
	t.Helper()
	Need(t, "docker-registry")
	dir := t.TempDir()
	config := fmt.Sprintf("version: 0.1\nlog: {level: info}\nstorage: {filesystem: {rootdirectory: %q}}\n", filepath.Join(dir, "data"))
	if opt.Password {
		file := filepath.Join(dir, "htpasswd")
		write(t, file, RegistryUser+":"+registryHash+"\n")
		config += fmt.Sprintf("auth: {htpasswd: {realm: test, path: %q}}\n", file)
	}
	config += "http:\n  addr: 127.0.0.1:0\n"
	if opt.Cert != "" {
		config += fmt.Sprintf("  tls: {certificate: %q, key: %q}\n", opt.Cert, opt.Key)
	}
	file := filepath.Join(dir, "config.yml")
	write(t, file, config)

	cmd := exec.Command("docker-registry", "serve", file)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "OTEL_TRACES_EXPORTER=none"} // without REGISTRY_AUTH_FILE, which it would read as an option
	logs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	addr, gone := make(chan string, 1), make(chan struct{})
	go func() { // read until the end, so that it never blocks
		defer close(gone)
		for lines := bufio.NewScanner(logs); lines.Scan(); {
			if m := listening.FindStringSubmatch(lines.Text()); m != nil {
				addr <- m[1]
			}
			if said.Len() < maxSaid {
				said.WriteString(lines.Text() + "\n")
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-gone
		_ = cmd.Wait() // it was killed
	})
	select {
	case host := <-addr:
		return host
	case <-gone:
		t.Fatalf("docker-registry does not start: %s", said.String())
		return ""
	}
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
