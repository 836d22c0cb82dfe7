package rpm

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// summary reads a database and summarises its packages and their paths.
func summary(t testing.TB, file string, raw []byte) (string, error) {
	t.Helper()
	var labels []string
	l := newLoader(newTree(t).open())
	err := visitAll(t, formOf(file).read, raw, nil, func(number int64, blob []byte) error {
		sum := fnv.New64a()
		p, err := parsePackage(blob)
		if err != nil {
			return err
		}
		list, err := p.header.files()
		if err != nil {
			return err
		}
		err = list.each(func(f *listed) error {
			_, err := fmt.Fprintln(sum, f.path, f.mode, f.size, f.digest)
			return err
		})
		labels = append(labels, fmt.Sprint(p.label(), p.source, p.built, " ", sum.Sum64()))
		if err == nil {
			err = l.add(number, blob)
		}
		return err
	})
	if err == nil && len(l.damaged) > 0 {
		err = l.damage()
	}
	slices.Sort(labels)
	return strings.Join(labels, "\n"), err
}

// damages are ways to damage a file at a given offset.
var damages = map[string]func(raw []byte, at int) []byte{
	"truncated":    func(raw []byte, at int) []byte { return raw[:at] },
	"page cut off": func(raw []byte, at int) []byte { return raw[:at&^4095] },
	"page zeroed":  func(raw []byte, at int) []byte { clear(raw[at&^4095:][:min(4096, len(raw)-at&^4095)]); return raw },
	"bit flipped":  func(raw []byte, at int) []byte { raw[at] ^= 1 << (at % 8); return raw },
	"word set":     func(raw []byte, at int) []byte { copy(raw[at:], "\xff\xff\xff\xff"); return raw },
	"word zeroed":  func(raw []byte, at int) []byte { clear(raw[at:][:min(4, len(raw)-at)]); return raw },
	"pages swapped": func(raw []byte, at int) []byte {
		other := at / 2 &^ 4095
		at = min(at&^4095, len(raw)-4096)
		page := slices.Clone(raw[at:][:4096])
		copy(raw[at:][:4096], raw[other:][:4096])
		copy(raw[other:][:4096], page)
		return raw
	},
}

// TestDamage damages real databases in many places. Each time, the result must be all packages or
// an error.
func TestDamage(t *testing.T) {
	rounds := map[string]int{
		"libuuid/Packages": 40, "sle15-bci/Packages.db": 15,
		"cbl-mariner-2.0/rpmdb.sqlite": 6, "ubi8-s390x/Packages": 2, "fedora35/rpmdb.sqlite": 1,
	}
	factor, _ := strconv.Atoi(os.Getenv("RPM_DAMAGE_ROUNDS")) // for longer runs
	for file, n := range rounds {
		t.Run(path.Dir(file), func(t *testing.T) {
			if testing.Short() {
				if n /= 4; n == 0 {
					t.Skip("a large database, again and again")
				}
			}
			raw := readFile(t, testdata(t, file))
			want, err := summary(t, file, raw)
			if err != nil {
				t.Fatal(err)
			}
			rng := rand.New(rand.NewPCG(1, 2))
			for round := range n * max(factor, 1) {
				for name, damage := range damages {
					at := rng.IntN(len(raw))
					if round%2 == 0 {
						at = rng.IntN(min(len(raw), 64<<10)) // where the structure is
					}
					got, err := summary(t, file, damage(slices.Clone(raw), at))
					if err == nil && got != want {
						t.Errorf("%s at %d: got %d packages of %d without an error", name, at, strings.Count(got, "\n")+1, strings.Count(want, "\n")+1)
					}
				}
			}
		})
	}
}
