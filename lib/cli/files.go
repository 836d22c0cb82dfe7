package cli

import "chunkah/lib/names"

// checkFiles refuses a file that is also an output or another file.
func (f *outputFlags) checkFiles(files ...names.File) error {
	outputs, err := f.outputs()
	if err != nil {
		return err
	}
	return checkFiles(outputs, files...)
}

func checkFiles(outputs []names.Output, files ...names.File) error {
	if err := names.CheckFiles(outputs, files...); err != nil {
		return &usageError{err}
	}
	return nil
}

// checkFiles refuses two options that name the same file.
func (c *buildCommand) checkFiles() error {
	sbom := c.SBOM
	if sbom == attachSBOM {
		sbom = ""
	}
	return c.outputFlags.checkFiles(names.File{Option: "--plan", Path: c.Plan}, names.File{Option: "--sbom", Path: sbom},
		names.File{Option: "--metrics", Path: c.Metrics}, names.File{Option: "--digest-file", Path: c.DigestFile},
		names.File{Option: "--write-manifest-to", Path: c.WriteManifestTo}, names.File{Option: "--write-peak-mem-to", Path: c.WritePeakMemTo})
}
