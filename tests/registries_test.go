package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"chunkah/tests/clients"
)

// configured writes the user's registries.conf. It replaces {own} and {mirror} with the addresses
// of registries.
func configured(t *testing.T, home, text string, hosts ...string) {
	t.Helper()
	t.Setenv("XDG_CONFIG_HOME", "") // skopeo looks only below HOME
	dir := filepath.Join(home, ".config/containers")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	text = strings.NewReplacer(hosts...).Replace(text)
	if err := os.WriteFile(filepath.Join(dir, "registries.conf"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// chunkah reads an image from the same registry as skopeo, or refuses to read it if skopeo does.
func TestRegistriesConf(t *testing.T) {
	clients.Need(t, "skopeo", "docker-registry")
	home := newHome(t)
	own, mirror := clients.NewRegistry(t, clients.RegistryOptions{}), clients.NewRegistry(t, clients.RegistryOptions{})
	images := map[string]*pushed{"own": pushable(t, tarOf(t, "own", 100)), "mirror": pushable(t, tarOf(t, "mirror", 200))}
	if err := images["own"].push(t.Context(), own, "team/app:1"); err != nil {
		t.Fatal(err)
	}
	if err := images["mirror"].push(t.Context(), mirror, "copy/app:1"); err != nil {
		t.Fatal(err)
	}
	const moved = "[[registry]]\nprefix = \"registry.example\"\nlocation = \"{own}\"\ninsecure = true\n"
	const mirrored = "[[registry]]\nprefix = \"registry.example/team\"\nlocation = \"{own}/team\"\ninsecure = true\n"
	const first = "[[registry.mirror]]\nlocation = \"{mirror}/copy\"\ninsecure = true\n"
	for _, test := range []struct{ name, config, want string }{
		{"a location", moved, "own"},
		{"the longest prefix", moved + mirrored + first, "mirror"},
		{"a mirror without the image", mirrored + "[[registry.mirror]]\nlocation = \"{mirror}/other\"\ninsecure = true\n", "own"},
		{"a mirror that is not there", mirrored + "[[registry.mirror]]\nlocation = \"127.0.0.1:1\"\ninsecure = true\n" + first, "mirror"},
		{"a mirror for digests, by the registry", mirrored + "mirror-by-digest-only = true\n" + first, "own"},
		{"a mirror for digests", mirrored + first + "pull-from-mirror = \"digest-only\"\n", "own"},
		{"a mirror for tags", mirrored + first + "pull-from-mirror = \"tag-only\"\n", "mirror"},
		{"subdomains", strings.Replace(moved, "registry.example", "*.example", 1), "own"},
		{"another registry", strings.Replace(moved, "registry.example", "registry.exam", 1), ""},
		{"blocked", moved + "[[registry]]\nlocation = \"{own}\"\nblocked = true\n", ""},
		{"blocked but for its mirror", mirrored + "blocked = true\n" + first, "mirror"},
		{"a location without a registry", strings.Replace(moved, "{own}", "own", 1), ""},
		{"a URL", strings.Replace(moved, "{own}", "http://{own}", 1), ""},
		{"not TOML", moved + "insecure", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			configured(t, home, test.config, "{own}", own, "{mirror}", mirror)
			const image = "docker://registry.example/team/app:1"
			skopeo := start(t, exec.Command("skopeo", "inspect", "--raw", image))
			ours := start(t, exec.Command("chunkah", "build", "-v", "--from", image, "-o", filepath.Join(t.TempDir(), "out")))
			if (skopeo.code == 0) != (test.want != "") || (ours.code == 0) != (test.want != "") {
				t.Fatalf("skopeo has status %d, chunkah %d, want an image: %q\n%s%s", skopeo.code, ours.code, test.want, skopeo.stderr, ours.stderr)
			}
			if test.want == "" {
				if strings.Count(ours.stderr, "\n") != 1 {
					t.Errorf("not one line: %s", ours.stderr)
				}
				return
			}
			want := images[test.want].built.Manifest.Descriptor.Digest
			if got := digest.FromString(skopeo.stdout); got != want {
				t.Errorf("skopeo reads %s, want %s", got, want)
			}
			res := start(t, exec.Command("chunkah", "cat", image, "/"+test.want))
			if res.code != 0 || len(res.stdout) == 0 {
				t.Errorf("it reads another image: %s", res.stderr)
			}
		})
	}
}

// A push goes to the registry in the image reference, and reads only from that registry.
func TestRegistriesConfPush(t *testing.T) {
	clients.Need(t, "skopeo", "docker-registry")
	home := newHome(t)
	own, mirror := clients.NewRegistry(t, clients.RegistryOptions{}), clients.NewRegistry(t, clients.RegistryOptions{})
	configured(t, home, "[[registry]]\nprefix = \"{own}\"\nlocation = \"{mirror}\"\ninsecure = true\n", "{own}", own, "{mirror}", mirror)
	root, image := smallRoot(t), "docker://"+own+"/team/app:1"
	for _, want := range []string{"", ": reused "} {
		res := start(t, exec.Command("chunkah", "build", "--rootfs", root, "--verify", "--previous", "auto", "--sbom", "attach", "-o", image))
		if res.code != 0 || !strings.Contains(res.stderr, want) {
			t.Fatalf("status %d, want %q: %s", res.code, want, res.stderr)
		}
	}
	res := start(t, exec.Command("chunkah", "inspect", image))
	if res.code == 0 || !strings.Contains(res.stderr, mirror) {
		t.Errorf("it reads where it has pushed: %s", res.stderr)
	}
	configured(t, home, "")
	clients.Run(t, exec.Command("chunkah", "verify", image))

	configured(t, home, "[[registry]]\nlocation = \"{own}/team\"\nblocked = true\n", "{own}", own)
	res = start(t, exec.Command("chunkah", "build", "--rootfs", root, "-o", image))
	if want := "/team/app\" is blocked in \"" + home; res.code != 1 || !strings.Contains(res.stderr, want) {
		t.Errorf("status %d, want %q: %s", res.code, want, res.stderr)
	}
}

// Image references without a registry are refused if podman would resolve them to a registry other
// than docker.io.
func TestRegistriesConfShortNames(t *testing.T) {
	home := newHome(t)
	configured(t, home, "unqualified-search-registries = [\"registry.example\", \"docker.io\"]\n[aliases]\n\"fedora\" = \"registry.example/fedora\"\n")
	for image, want := range map[string]string{
		"docker://app:1":  `image reference "app:1" has no registry: use registry.example/app, where podman looks first`,
		"docker://fedora": `image reference "fedora" has no registry: use registry.example/fedora, as podman does`,
	} {
		for _, args := range [][]string{{"inspect", image}, {"build", "--rootfs", home, "-o", image}} {
			res := start(t, exec.Command("chunkah", args...))
			if res.code == 0 || !strings.Contains(res.stderr, want) || !strings.Contains(res.stderr, "docker.io/library/") {
				t.Errorf("status %d, want %q: %s", res.code, want, res.stderr)
			}
		}
	}
}

// The credential helpers listed in registries.conf are asked for credentials.
func TestRegistriesConfHelpers(t *testing.T) {
	clients.Need(t, "skopeo", "docker-registry")
	home := newHome(t)
	host := clients.NewRegistry(t, clients.RegistryOptions{Password: true})
	helper := "#!/bin/sh\nread host\n[ \"$host\" = " + host + " ] || { echo 'credentials not found in native keychain'; exit 1; }\n" +
		`echo '{"Username":"` + clients.RegistryUser + `","Secret":"` + clients.RegistryPassword + "\"}'\n"
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "docker-credential-test"), []byte(helper), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	root, image := smallRoot(t), "docker://"+host+"/team/app:1"
	for helpers, want := range map[string]bool{`"containers-auth.json"`: false, `"containers-auth.json", "test"`: true, `"missing", "test"`: true} {
		configured(t, home, "credential-helpers = ["+helpers+"]\n")
		res := start(t, exec.Command("chunkah", "build", "--rootfs", root, "-o", image))
		if (res.code == 0) != want {
			t.Errorf("with %s: status %d: %s", helpers, res.code, res.stderr)
		}
		if want {
			clients.Run(t, exec.Command("skopeo", "inspect", "--tls-verify=false", image))
		}
	}
}
