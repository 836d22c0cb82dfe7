package names

import (
	"fmt"
	"path/filepath"
	"slices"

	"chunkah/lib/image"
	"chunkah/lib/oci"
	"chunkah/lib/regular"
	"chunkah/lib/transport"
)

// Output is a destination with the names of the image in it.
type Output struct {
	image.Location
	Also []string // names in addition to Ref
}

// Outputs parses the values of -o and -t. A tag applies to the registry output with the same
// repository, or else to all outputs outside registries.
func Outputs(destinations, tags []string) ([]Output, error) {
	var outputs []Output
	for _, name := range destinations {
		target, err := destination(name)
		if err != nil {
			return nil, err
		}
		outputs = append(outputs, Output{Location: target})
	}
	if len(outputs) == 0 {
		stdout, err := transport.ParseDestination("-")
		if err != nil {
			return nil, err
		}
		outputs = []Output{{Location: stdout}}
	}
	if err := checkDistinct(outputs); err != nil {
		return nil, err
	}
	names := make([][]string, len(outputs))
	for _, tag := range tags {
		if err := addName(outputs, names, tag); err != nil {
			return nil, err
		}
	}
	for i := range outputs {
		outputs[i].Also = names[i]
		if len(names[i]) > 0 && outputs[i].Syntax != image.RefOnly {
			outputs[i].Ref, outputs[i].Also = names[i][0], names[i][1:]
		}
	}
	return outputs, nil
}

// addName adds a tag to the names of outputs. Registries take precedence.
func addName(outputs []Output, names [][]string, tag string) error {
	var refused error
	for _, registry := range []bool{true, false} {
		taken := false
		for i, o := range outputs {
			if (o.Tag != nil) != registry {
				continue
			}
			name, err := o.name(tag)
			if err != nil {
				refused = err
				continue
			}
			taken = true
			if !slices.Contains(names[i], name) && (o.Syntax != image.RefOnly || name != o.Ref) {
				names[i] = append(names[i], name)
			}
		}
		if taken {
			return nil
		}
	}
	return refused
}

// name returns the name of the image in an output for a tag.
func (o Output) name(tag string) (string, error) {
	if o.Tag != nil {
		return o.Tag(o.Ref, tag)
	}
	if err := oci.CheckTag(tag); err != nil {
		return "", err
	}
	if o.Syntax != image.RefOnly && o.Ref != "" && o.Ref != tag {
		return "", fmt.Errorf("-o specifies the image name %q, but --tag specifies %q: use only one of the two options", o.Ref, tag)
	}
	return tag, nil
}

// checkDistinct refuses two outputs in one place, because one would replace the other or wait for
// it.
func checkDistinct(outputs []Output) error {
	at := map[string]Output{}
	for _, o := range outputs {
		place := o.realPlace()
		if before, twice := at[place]; twice {
			return fmt.Errorf("-o %q and -o %q are the same output: use --tag to add names to the image", before, o)
		}
		at[place] = o
	}
	return nil
}

// realPlace returns the same string for all names of the file or directory that is written. It
// follows symlinks in the same way as the outputs.
func (o Output) realPlace() string {
	path := o.Path
	switch {
	case o.IsStdout():
		path = "/dev/stdout"
	case path == "":
		return o.String()
	}
	target, _, err := regular.Resolve(path)
	if err != nil {
		return o.Absolute().Path // opening it reports the error
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(target)); err == nil {
		target = filepath.Join(dir, filepath.Base(target))
	}
	if target, err = filepath.Abs(target); err != nil {
		return o.String()
	}
	return target
}

// IndexNames returns the names of the image in the index of the output.
func (o Output) IndexNames() (ref string, also []string) {
	if o.OwnNames {
		return "", nil
	}
	return o.Ref, o.Also
}

// IndexNames returns the names of the image in its index. If there are several outputs, each has
// its own index.
func IndexNames(outputs []Output) (ref string, also []string) {
	if len(outputs) > 1 {
		return "", nil
	}
	return outputs[0].IndexNames()
}
