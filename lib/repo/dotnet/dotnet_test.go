package dotnet

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"chunkah/lib/repo/places"
	"chunkah/lib/repo/places/placestest"
	"chunkah/tests/bound"
)

// deps is the deps.json of an application whose packages contain all kinds of files.
const deps = `{
  "runtimeTarget": {"name": ".NETCoreApp,Version=v8.0/linux-x64", "signature": ""},
  "targets": {".NETCoreApp,Version=v8.0": {}, ".NETCoreApp,Version=v8.0/linux-x64": {
    "App/1.0.0": {"dependencies": {"Acme.Web": "2.0.0", "Acme.Shared": "1.0.0", "Acme.Lib": "1.0.0", "runtimepack.Microsoft.NETCore.App.Runtime.linux-x64": "8.0.0"}, "runtime": {"App.dll": {}}},
    "Acme.Lib/1.0.0": {"dependencies": {"Acme.Web": "2.0.0"}, "runtime": {"Acme.Lib.dll": {}}},
    "Acme.Web/2.0.0": {"dependencies": {"Acme.Log": "1.0.0", "Acme.Big": "1.0.0"}, "runtime": {"lib/net8.0/Acme.Web.dll": {"assemblyVersion": "2.0.0.0"}},
      "resources": {"lib/net8.0/de/Acme.Web.resources.dll": {"locale": "de"}}},
    "Acme.Log/1.0.0": {"runtime": {"lib/netstandard2.0/Acme.Log.dll": {}}, "native": {"runtimes/linux-x64/native/liblog.so": {}}},
    "Acme.Shared/1.0.0": {"runtimeTargets": {"runtimes/linux/lib/net8.0/Acme.Shared.dll": {"rid": "linux", "assetType": "runtime"}}},
    "Acme.Big/1.0.0": {"runtime": {"lib/Acme.Big.dll": {}}},
    "runtimepack.Microsoft.NETCore.App.Runtime.linux-x64/8.0.0": {"runtime": {"System.Private.CoreLib.dll": {}}, "native": {"libcoreclr.so": {}}}
  }},
  "libraries": {"App/1.0.0": {"type": "project", "serviceable": false}, "Acme.Lib/1.0.0": {"type": "project"}, "Acme.Web/2.0.0": {"type": "package"}}
}`

func TestApplications(t *testing.T) {
	r := placestest.New(t)
	for _, dir := range []string{"/app/", "/srv/web/"} {
		for _, name := range []string{"App.dll", "App", "appsettings.json", "Acme.Lib.dll", "Acme.Web.dll", "de/Acme.Web.resources.dll", "Acme.Log.dll", "liblog.so",
			"runtimes/linux/lib/net8.0/Acme.Shared.dll", "libcoreclr.so", "Other.dll"} {
			r.File(dir+name, "x")
		}
		r.Sparse(dir+"Acme.Big.dll", places.Least).Sparse(dir+"System.Private.CoreLib.dll", places.Least)
		r.File(dir+"App.deps.json", deps)
	}
	r.File("/data/x.deps.json", deps)
	a := r.Assign(Repo{})
	a.WantWarnings()
	a.Want(
		"/app/Acme.Web.dll", "dotnet/Acme.Web",
		"/app/de/Acme.Web.resources.dll", "dotnet/Acme.Web",
		"/app/Acme.Log.dll", "dotnet/Acme.Web",
		"/app/liblog.so", "dotnet/Acme.Web",
		"/app/runtimes/linux/lib/net8.0/Acme.Shared.dll", "dotnet/Acme.Shared",
		"/app/Acme.Big.dll", "dotnet/Acme.Big",
		"/app/libcoreclr.so", "dotnet/Microsoft.NETCore.App.Runtime.linux-x64",
		"/app/App.deps.json", "dotnet/.database",
		"/app/App.dll", "chunkah/unclaimed/app",
		"/app/Acme.Lib.dll", "chunkah/unclaimed/app",
		"/app/Other.dll", "chunkah/unclaimed/app",
		"/app/appsettings.json", "chunkah/unclaimed/app",
		"/srv/web/Acme.Web.dll", "dotnet/Acme.Web@/srv/web",
		"/data/x.deps.json", "chunkah/unclaimed/data",
	)
}

func TestFrameworks(t *testing.T) {
	r := placestest.New(t)
	const root = "/usr/share/dotnet/"
	for _, version := range []string{"8.0.1", "8.0.2"} {
		for _, name := range []string{core, "Microsoft.AspNetCore.App"} {
			r.File(root+"shared/"+name+"/"+version+"/"+name+".deps.json", deps).File(root+"shared/"+name+"/"+version+"/x.dll", "")
		}
	}
	for _, name := range []string{"dotnet", "LICENSE.txt", "host/fxr/8.0.1/libhostfxr.so", "sdk/8.0.100/dotnet.dll", "sdk/8.0.100/dotnet.runtimeconfig.json", "packs/x/1/y.dll", "mine"} {
		r.File(root+name, "")
	}
	r.File(root+"sdk/8.0.100/dotnet.deps.json", deps).File("/opt/dotnet/shared/Microsoft.AspNetCore.App/8.0.1/Microsoft.AspNetCore.App.deps.json", "")
	r.File("/usr/lib/dotnet/shared/X/1/X.deps.json", "").File("/usr/lib/dotnet/shared/X/1/x.dll", "").Own("dpkg/dotnet", "/usr/lib/dotnet/shared/X/1/X.deps.json", "/usr/lib/dotnet/shared/X/1/x.dll")
	a := r.Assign(Repo{})
	a.WantWarnings()
	a.Want(
		root+"shared/"+core+"/8.0.1/x.dll", "dotnet/"+core,
		root+"shared/"+core+"/8.0.2/x.dll", "dotnet/"+core,
		root+"shared/Microsoft.AspNetCore.App/8.0.2/x.dll", "dotnet/Microsoft.AspNetCore.App@/usr/share/dotnet",
		"/opt/dotnet/shared/Microsoft.AspNetCore.App/8.0.1/Microsoft.AspNetCore.App.deps.json", "dotnet/Microsoft.AspNetCore.App",
		root+"dotnet", "dotnet/"+core,
		root+"host/fxr/8.0.1/libhostfxr.so", "dotnet/"+core,
		root+"sdk/8.0.100/dotnet.dll", "dotnet/sdk",
		root+"sdk/8.0.100/dotnet.deps.json", "dotnet/sdk",
		root+"packs/x/1/y.dll", "dotnet/sdk",
		root+"mine", "chunkah/unclaimed",
		"/usr/lib/dotnet/shared/X/1/x.dll", "dpkg/dotnet",
	)
}

func TestDamage(t *testing.T) {
	r := placestest.New(t)
	for name, text := range map[string]string{
		"a-cut": deps[:500], "b-target": `{"runtimeTarget": {"name": "x"}, "targets": {"y": {}}}`, "c-none": `{"runtimeTarget": 1}`,
		"d-name": `{"runtimeTarget": "x", "targets": {"x": {"../../etc/1": {}}}}`, "e-up": `{"runtimeTarget": "x", "targets": {"x": {"p/1": {"runtimeTargets": {"../x.dll": {}}}}}}`,
	} {
		r.File("/srv/"+name+"/App.deps.json", text).File("/srv/"+name+"/App.dll", "")
	}
	r.Sparse("/srv/f/App.deps.json", maxDeps+1).File("/srv/f/App.dll", "").File("/srv/x.dll", "")
	a := r.Assign(Repo{})
	a.WantWarnings(`dotnet: application "/srv/a-cut/App.deps.json": reading|is not a list`, `has no target "x"`, "does not contain the name of its target", `"../../etc/1" is not a package`, "is larger than")
	a.Want("/srv/a-cut/App.deps.json", "chunkah/unclaimed/srv/a-cut", "/srv/x.dll", "chunkah/unclaimed")
	if result, err := (Repo{}).Load(t.Context(), placestest.New(t).File("/x", "").Tree()); err != nil || result != nil {
		t.Errorf("got %+v, %v", result, err)
	}
}

func FuzzDeps(f *testing.F) {
	f.Add([]byte(deps), "/x/shared/A/1/A.deps.json")
	f.Add([]byte(`{"runtimeTarget": "x", "targets": {"x": {"p/1": {"dependencies": {"p": "1"}}}}}`), "/.deps.json")
	f.Fuzz(func(t *testing.T, raw []byte, path string) {
		bound.Input(t, len(raw)+len(path))
		libraries, err := parse(raw)
		if err != nil && libraries != nil {
			t.Error("got packages and an error")
		}
		for _, lib := range libraries {
			if !places.IsName(lib.Name) || !slices.IsSorted(lib.files) || len(lib.Needs) > maxNeeds {
				t.Errorf("got %+v", lib)
			}
			for _, need := range lib.Needs {
				if need < 0 || need >= len(libraries) {
					t.Errorf("%q needs package %d of %d", lib.Name, need, len(libraries))
				}
			}
		}
		if strings.HasPrefix(path, "/") {
			if root, name, found := framework(path); found && (root == "" || name == "") {
				t.Errorf("%q: got %q, %q", path, root, name)
			}
		}
	})
}

// TestManyNeeds checks that a package that needs too many packages is treated as damaged.
func TestManyNeeds(t *testing.T) {
	var needs []string
	for i := range maxNeeds + 1 {
		needs = append(needs, fmt.Sprintf(`"n%d": "1"`, i))
	}
	if _, err := parse([]byte(`{"runtimeTarget": "x", "targets": {"x": {"p/1": {"dependencies": {` + strings.Join(needs, ",") + `}}}}}`)); err == nil {
		t.Error("got no error")
	}
}
