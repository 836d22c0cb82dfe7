package tests

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"chunkah/tests/clients"
	"chunkah/tests/mkroot"
)

// build -n prints a shell pipeline that writes the same bytes as build itself.
func TestDryRun(t *testing.T) {
	clients.Need(t, "jq")
	const out = "OUT" // the output in a case's arguments
	tests := []struct {
		name  string
		args  []string
		env   string
		stdin string
	}{
		{name: "plain", args: []string{"--rootfs", "root", "-o", out}},
		{name: "to standard output", args: []string{"--rootfs", "root"}},
		{name: "root from the environment", args: []string{"-o", out}, env: "CHUNKAH_ROOTFS=root"},
		{name: "odd names", args: []string{"--rootfs", "it's a \"$root\"\n`x`", "--prune", "/o'dd dir/", "--prune=-x", "-o", "oci:" + out + " '$(x)':a-b"}},
		{name: "a root like an option", args: []string{"--rootfs=-root", "-o", out}},
		{name: "a root like an image", args: []string{"--rootfs", "oci:x", "-o", out}},
		{name: "from a layout", args: []string{"--from", "oci:image:a", "--from", "dir:root", "--by-source", "-o", "docker-archive:" + out + ":localhost/a:1"}},
		{name: "base", args: []string{"--from", "oci:image:a", "--keep-base", "1", "-o", "oci:" + out}},
		{name: "first of auto", args: []string{"--rootfs", "root", "--previous", "auto", "-o", "oci:" + out}},
		{name: "previous", args: []string{"--rootfs", "root", "--previous", "oci:image:a", "--compress", "gzip", "-o", out}},
		{name: "previous plan", args: []string{"--rootfs", "root", "--previous", "plan.json", "--plan", out + ".plan", "-o", out}},
		{name: "compression", args: []string{"--rootfs", "root", "--compress=zstd", "--level", "7", "-T", "3", "-o", out}},
		{name: "compressed", args: []string{"--rootfs", "root", "--compressed", "-o", out}},
		{name: "stored", args: []string{"--rootfs", "root", "--compressed", "--compression-level", "0", "-o", out}},
		{name: "config", args: []string{"--rootfs", "root", "--config-str", `{"Cmd":["a b","it's"]}`, "--label", "k=a  b", "--annotation", "-", "--arch", "arm64", "-t", "localhost/x:1", "-o", out}},
		{name: "config from the environment", args: []string{"--rootfs", "root", "-o", out}, env: `CHUNKAH_CONFIG_STR={"Cmd":["x"]}`},
		{name: "config from standard input", args: []string{"--rootfs", "root", "--config", "-", "-o", out}, stdin: `{"Cmd":["y"]}`},
		{name: "times", args: []string{"--rootfs", "root", "-o", out}, env: "SOURCE_DATE_EPOCH=1000000000"},
		{name: "layers", args: []string{"--rootfs", "root", "--max", "3", "--max-layer-size", "1MB", "--repos", "bigfiles", "-o", out}},
		{name: "layers by their other name", args: []string{"--rootfs", "root", "--max-layers", "2", "-vv", "-o", out}},
		{name: "assigner", args: []string{"--rootfs", "root", "--assign", `jq -c 'if .file then .file.components = ["a'"$((1+1))"'"] else . end'`, "-o", out}},
		{name: "assigner of one word", args: []string{"--rootfs", "root", "--assign", "chunkah-assign", "--pack", "chunkah-pack", "--format", "msgpack", "-o", out}},
		{name: "verified", args: []string{"--rootfs", "root", "--verify", "-o", "oci:" + out + ":v"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			dryRunFolder(t, dir)
			var archives, trees [2]string
			for i, output := range []string{"built", "piped"} {
				var args []string
				for _, a := range tt.args {
					args = append(args, strings.Replace(a, out, output, 1))
				}
				cmd := exec.Command("chunkah", append([]string{"build"}, args...)...)
				if i == 1 {
					line := exec.Command("chunkah", append([]string{"build", "-n"}, args...)...)
					line.Dir, line.Env = dir, append(os.Environ(), tt.env)
					cmd = exec.Command("sh", "-c", clients.Run(t, line)) // without tt.env
				} else {
					cmd.Env = append(os.Environ(), tt.env)
				}
				cmd.Dir, cmd.Stdin = dir, strings.NewReader(tt.stdin)
				var said bytes.Buffer
				cmd.Stderr = &said
				archive, err := cmd.Output()
				if err != nil {
					t.Fatalf("%q: %v\n%s", cmd.Args, err, said.String())
				}
				archives[i] = string(archive)
				list := exec.Command("sh", "-c", "find . -path './"+output+"*' -type f ! -name .lock -exec sha256sum {} + | sed 's/"+output+"/X/' | sort")
				list.Dir = dir
				trees[i] = clients.Run(t, list)
			}
			if archives[0] != archives[1] {
				t.Errorf("standard output: %d and %d bytes", len(archives[0]), len(archives[1]))
			}
			if trees[0] != trees[1] || len(archives[0])+len(trees[0]) == 0 {
				t.Errorf("built\n%s\npiped\n%s", trees[0], trees[1])
			}
		})
	}
}

// dryRunFolder makes the files for the cases of TestDryRun.
func dryRunFolder(t *testing.T, dir string) {
	t.Helper()
	const spec = "file /usr/bin/tool size=3000000\nfile /etc/name text=x\nfile /opt/a/x text=y\nfile \"/o'dd dir/x\" text=z\nfile /opt/b/y text=z\n"
	for _, name := range []string{"root", "it's a \"$root\"\n`x`", "-root", "oci:x"} {
		if err := mkroot.Write(filepath.Join(dir, name), spec); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("chunkah", "build", "--rootfs", "root", "--compress", "gzip", "--plan", "plan.json", "-o", "oci:image:a")
	cmd.Dir = dir
	clients.Run(t, cmd)
}

// Options that a pipeline cannot express are refused.
func TestDryRunRefuses(t *testing.T) {
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"-o", "x"}, "no root"},
		{[]string{"--rootfs", "x", "--plan", "-", "-o", "x"}, "--plan -"},
		{[]string{"--rootfs", "x", "--previous", "auto"}, "--previous auto"},
		{[]string{"--rootfs", "x", "--from", "y"}, "cannot be used together"},
	}
	for _, tt := range tests {
		out, err := exec.Command("chunkah", append([]string{"build", "-n"}, tt.args...)...).CombinedOutput()
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 2 || !strings.Contains(string(out), tt.want) {
			t.Errorf("%q: %v: %s", tt.args, err, out)
		}
	}
}
