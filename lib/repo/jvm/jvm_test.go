package jvm

import (
	"strings"
	"testing"

	"chunkah/lib/repo/java"
	"chunkah/lib/repo/places/placestest"
	"chunkah/tests/bound"
)

// release returns a release file in the form that the OpenJDK build writes.
func release(maker, version string) string {
	return "IMPLEMENTOR=\"" + maker + "\"\nJAVA_RUNTIME_VERSION=\"x\"\nJAVA_VERSION=\"" + version + "\"\nMODULES=\"java.base java.logging\"\n"
}

func TestRuntimes(t *testing.T) {
	r := placestest.New(t)
	runtime := func(home, text string) {
		r.File(home+"/release", text).File(home+"/bin/java", "").File(home+"/lib/modules", "").File(home+"/lib/jrt-fs.jar", "")
	}
	runtime("/usr/lib/jvm/jdk-21.0.1+12", release("Eclipse Adoptium", "21.0.1"))
	runtime("/usr/lib/jvm/jdk-21.0.2+13", release("Eclipse Adoptium", "21.0.2"))
	runtime("/opt/java", release("Eclipse Adoptium", "21.0.1"))
	runtime("/opt/graal", release("GraalVM Community", "17.0.9"))
	runtime("/opt/old", "JAVA_VERSION=\"1.8.0_392\"\nOS_NAME=\"Linux\"\n")
	runtime("/opt/old/jre", "JAVA_VERSION=\"1.8.0_392\"\n")
	runtime("/usr/lib/jvm/java-17", release("Debian", "17.0.9"))
	r.Own("dpkg/openjdk-17", "/usr/lib/jvm/java-17/bin/java", "/usr/lib/jvm/java-17/lib/modules")
	r.File("/srv/release", "").File("/srv/bin/java", "").File("/app/release", release("x", "1")).File("/etc/release", "")
	a := r.Assign(Repo{}, java.Repo{})
	a.WantWarnings(`jvm: runtime "/srv": "/srv/release" contains no JAVA_VERSION`)
	a.Want(
		"/opt/java/lib/modules", "jvm/eclipse-adoptium-21",
		"/opt/java/lib/jrt-fs.jar", "jvm/eclipse-adoptium-21",
		"/usr/lib/jvm/jdk-21.0.1+12/lib/modules", "jvm/eclipse-adoptium-21@/usr/lib/jvm",
		"/usr/lib/jvm/jdk-21.0.2+13/release", "jvm/eclipse-adoptium-21@/usr/lib/jvm",
		"/opt/graal/bin/java", "jvm/graalvm-community-17",
		"/opt/old/lib/modules", "jvm/java-8",
		"/opt/old/jre/lib/modules", "jvm/java-8",
		"/usr/lib/jvm/java-17/lib/modules", "dpkg/openjdk-17",
		"/srv/bin/java", "jvm/java",
		"/app/release", "chunkah/unclaimed/app",
	)
}

func TestDamage(t *testing.T) {
	r := placestest.New(t).Sparse("/opt/huge/release", maxRelease+1).File("/opt/huge/bin/java", "").File("/opt/cut/release", "JAVA_VER").File("/opt/cut/bin/java", "").
		Mkdir("/opt/dir/release").File("/opt/dir/bin/java", "")
	a := r.Assign(Repo{})
	a.WantWarnings(`runtime "/opt/cut"|contains no JAVA_VERSION`, `runtime "/opt/huge"|is larger than`)
	a.Want("/opt/huge/bin/java", "jvm/java", "/opt/dir/bin/java", "chunkah/unclaimed/opt/dir")
	if result, err := (Repo{}).Load(t.Context(), placestest.New(t).File("/etc/release", "").Tree()); err != nil || result != nil {
		t.Errorf("got %+v, %v", result, err)
	}
}

func FuzzRelease(f *testing.F) {
	f.Add([]byte(release("Eclipse Adoptium", "21.0.1")))
	f.Add([]byte("IMPLEMENTOR=\n JAVA_VERSION=1.8"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		bound.Input(t, len(raw))
		r := parse(raw)
		if r.maker == "" || len(r.maker) > maxName || len(r.feature) > maxName || strings.Trim(r.feature, "0123456789") != "" || slug(r.maker) != r.maker {
			t.Errorf("got %+v", r)
		}
	})
}
