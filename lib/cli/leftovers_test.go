package cli

import (
	"reflect"
	"slices"
	"testing"

	"chunkah/lib/temp"
)

// Every command that can spool files must look for leftovers of killed runs in the spool directory.
func TestLeftoversAreLookedForInSpools(t *testing.T) {
	dir := t.TempDir()
	for name, s := range programs {
		c := s.new()
		flag := reflect.ValueOf(c).Elem().FieldByName("Spool")
		if !flag.IsValid() {
			continue
		}
		flag.SetString(dir)
		if !slices.Contains(c.leftovers(), temp.SpoolDir(dir)) {
			t.Errorf("%s does not look into --spool", name)
		}
	}
}
