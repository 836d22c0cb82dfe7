package cli

import (
	"os"
	"strconv"

	"chunkah/lib/image"
	"chunkah/lib/transport"
)

// namedFile is a file that an option names and that is written besides the image.
type namedFile struct{ option, path string }

// checkFiles refuses two names for one file, because the later file would replace the earlier one,
// which can be the image. Pipes and devices are not replaced.
func checkFiles(outputs []output, files ...namedFile) error {
	at := make(map[string]string)
	for _, o := range outputs {
		at[o.realPlace()] = "-o " + strconv.Quote(o.String())
	}
	for _, f := range files {
		if f.path == "" || f.path == "-" {
			continue
		}
		if info, err := os.Stat(f.path); err == nil && !info.Mode().IsRegular() {
			continue
		}
		place := output{Source: image.Source{Transport: transport.Archive, Path: f.path}}.realPlace()
		name := f.option + " " + strconv.Quote(f.path)
		if before, twice := at[place]; twice {
			return usagef("%s and %s are the same file: one would replace the other", before, name)
		}
		at[place] = name
	}
	return nil
}

// checkFiles refuses a file that is also an output or another file.
func (f *outputFlags) checkFiles(files ...namedFile) error {
	outputs, err := f.outputs()
	if err != nil {
		return err
	}
	return checkFiles(outputs, files...)
}

// checkFiles refuses two options that name the same file.
func (c *buildCommand) checkFiles() error {
	sbom := c.SBOM
	if sbom == attachSBOM {
		sbom = ""
	}
	return c.outputFlags.checkFiles(namedFile{"--plan", c.Plan}, namedFile{"--sbom", sbom}, namedFile{"--metrics", c.Metrics},
		namedFile{"--digest-file", c.DigestFile}, namedFile{"--write-manifest-to", c.WriteManifestTo}, namedFile{"--write-peak-mem-to", c.WritePeakMemTo})
}
