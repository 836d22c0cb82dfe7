package names

import (
	"fmt"
	"os"

	"chunkah/lib/image"
	"chunkah/lib/transport"
)

// File is a file that an option names and that is written besides the image.
type File struct{ Option, Path string }

// CheckFiles refuses two names for one file, because the later file would replace the earlier one,
// which can be the image. Pipes and devices are not replaced.
func CheckFiles(outputs []Output, files ...File) error {
	at := make(map[string]string)
	for _, o := range outputs {
		at[o.realPlace()] = fmt.Sprintf("-o %q", o)
	}
	for _, f := range files {
		if f.Path == "" || f.Path == "-" {
			continue
		}
		if info, err := os.Stat(f.Path); err == nil && !info.Mode().IsRegular() {
			continue
		}
		place := Output{Location: image.Location{Transport: transport.Archive, Path: f.Path}}.realPlace()
		name := fmt.Sprintf("%s %q", f.Option, f.Path)
		if before, twice := at[place]; twice {
			return fmt.Errorf("%s and %s are the same file: one would replace the other", before, name)
		}
		at[place] = name
	}
	return nil
}
