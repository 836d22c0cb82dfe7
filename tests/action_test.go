package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"chunkah/tests/clients"
	"chunkah/tests/mkroot"
)

// actionScript runs a script of the action, and returns the script's output and its directory for
// temporary files.
func actionScript(t *testing.T, name string, env ...string) (out string, temp string, err error) {
	t.Helper()
	clients.Need(t, "bash", "curl", "jq")
	temp = t.TempDir()
	path, err := filepath.Abs(actionDir)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(path, name))
	cmd.Env = append(os.Environ(), append([]string{
		"RUNNER_TEMP=" + temp, "GITHUB_ACTION_PATH=" + path, "ACTION_REPOSITORY=OWNER/chunkah",
		"GITHUB_PATH=" + temp + "/path", "GITHUB_OUTPUT=" + temp + "/output", "GITHUB_STEP_SUMMARY=" + temp + "/summary",
	}, env...)...)
	said, err := cmd.CombinedOutput()
	return string(said), temp, err
}

func readText(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// If a workflow refers to the action by a branch, the action builds chunkah from its own checkout.
func TestActionFromACheckout(t *testing.T) {
	clients.Need(t, "make", "go")
	out, temp, err := actionScript(t, "install", "ACTION_REF=main")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	bin := strings.TrimSpace(readText(t, temp+"/path"))
	for _, name := range []string{"chunkah", "chunkah-scan"} {
		if out := clients.Run(t, exec.Command(filepath.Join(bin, name), "--version")); !strings.HasPrefix(out, name+" ") {
			t.Errorf("%s --version: %q", name, out)
		}
	}
}

// A release whose checksum does not match is not installed.
func TestActionRefusesADamagedRelease(t *testing.T) {
	server := releaseServer(t, "v0.1.0")
	out, temp, err := actionScript(t, "install", "ACTION_REF=v0.1.0", "GITHUB_SERVER_URL="+server)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	clients.Run(t, exec.Command(temp+"/chunkah/bin/chunkah", "--version"))
	// A shell function in place of curl damages the archive.
	bin := t.TempDir()
	fake := "#!/bin/sh\n/usr/bin/env PATH=/usr/local/bin:/usr/bin:/bin curl \"$@\" || exit\nfor f in *.tar.gz; do [ ! -e \"$f\" ] || printf x >>\"$f\"; done\n"
	if err := os.WriteFile(bin+"/curl", []byte(fake), 0o755); err != nil {
		t.Fatal(err)
	}
	out, temp, err = actionScript(t, "install", "ACTION_REF=v0.1.0", "GITHUB_SERVER_URL="+server, "PATH="+bin+":"+os.Getenv("PATH"))
	if err == nil || !strings.Contains(out, "FAILED") {
		t.Errorf("a damaged archive: %v\n%s", err, out)
	}
	for _, name := range []string{"/path", "/chunkah/bin"} {
		if _, err := os.Stat(temp + name); err == nil {
			t.Errorf("there is %s", name)
		}
	}
	if out, _, err := actionScript(t, "install", "ACTION_REF=v9.9.9", "GITHUB_SERVER_URL="+server); err == nil {
		t.Errorf("a release that does not exist: %s", out)
	}
}

// Each line of the options is passed to chunkah as one argument, regardless of its contents.
func TestActionOptions(t *testing.T) {
	root := mkroot.Make(t, documented())
	to := "oci:" + filepath.Join(t.TempDir(), "image")
	label := "org.example.text=two words; $(touch pwned) `touch pwned` \"'"
	out, temp, err := actionScript(t, "split", "FROM="+root, "TO="+to, "PREVIOUS=auto", "OPTIONS=--max=4\n\n--label="+label)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	digest := clients.Run(t, exec.Command("sh", "-c", `chunkah inspect --json "$0" | jq -r .digest`, to))
	if got := readText(t, temp+"/output"); got != "digest="+digest {
		t.Errorf("the output is %q, want the digest %s", got, digest)
	}
	config := clients.Run(t, exec.Command("skopeo", "inspect", "--config", to))
	if !strings.Contains(config, `two words; $(touch pwned) `+"`touch pwned`"+` \"'`) {
		t.Errorf("the config is %s", config)
	}
	for _, place := range []string{"pwned", temp + "/pwned", temp + "/summary"} {
		if _, err := os.Stat(place); err == nil {
			t.Errorf("there is %s", place)
		}
	}
	if out, _, err := actionScript(t, "split", "FROM="+root, "TO=", "PREVIOUS=", "OPTIONS="); err == nil || !strings.Contains(out, `"from" needs "to"`) {
		t.Errorf("without a destination: %v\n%s", err, out)
	}
}
