package cli

import (
	"reflect"
	"slices"
	"strings"

	"github.com/jessevdk/go-flags"

	"chunkah/lib/image"
	"chunkah/lib/manual"
	"chunkah/lib/names"
	"chunkah/lib/transport"
)

// Tags of a flag in addition to those of go-flags:
//
//	section   the heading of this flag and of the following flags in its struct
//	brief     a one-line description for the help screen
//	variable  the environment variable for the flag, if the command reads the
//	          variable itself

// commonSection is the heading of the flags of every command.
const commonSection = "Common"

// sectionOrder is the order of the headings. Headings that are not in the list come first.
var sectionOrder = []string{
	"Source", "Components", "Layers", "Image", "Output", "Comparison", "Answers",
	"Images", "Stream", "Times", "Custom stages", "Run", commonSection,
}

// describeAll describes all commands as programs, with chunkah and its subcommands first.
func describeAll() []*manual.Command {
	list := []*manual.Command{describe(wrapper)}
	for _, name := range subcommands {
		if programs[wrapper+"-"+name].alone {
			list = append(list, describe(wrapper+"-"+name))
		}
	}
	return list
}

// describe describes a program, using the parser of its command line.
func describe(name string) *manual.Command {
	parser, _ := newParser(&Env{Name: name})
	if p, ok := programs[name]; ok {
		c := p.describe(name, parser.Command)
		c.Also = append(c.Also, wrapper+"(1)")
		return c
	}
	c := &manual.Command{
		Name: name, Short: wrapperShort, Long: wrapperLong, Synopsis: "COMMAND [OPTIONS]",
		Examples: wrapperExamples, Statuses: statuses, Also: []string{streamPage},
		Options: options(parser.Command, nil),
	}
	for _, name := range subcommands {
		sub := programs[wrapper+"-"+name].describe(wrapper+" "+name, parser.Find(name))
		sub.Options = append(sub.Options, c.Options...) // the common options
		sub.Also = append(sub.Also, wrapper+"(1)")
		c.Commands = append(c.Commands, sub)
		c.Also = append(c.Also, sub.Page()+"(1)")
	}
	return c
}

// describe describes a program under one of its names.
func (p program) describe(name string, c *flags.Command) *manual.Command {
	cmd := &manual.Command{
		Name: name, Short: p.short, Long: p.long, Synopsis: p.usage,
		Often: strings.Fields(p.often), Examples: p.examples, Statuses: statuses,
		Options: options(c, headings(reflect.TypeOf(p.new()).Elem())), Also: slices.Clone(p.also),
	}
	if p.compares {
		cmd.Statuses = comparingStatuses
	}
	if args := c.Args(); len(args) > 0 {
		cmd.Operand = args[0].Name
	}
	return cmd
}

// options describes the flags of a command by section.
func options(c *flags.Command, sections map[string]string) []manual.Option {
	var list []manual.Option
	var walk func(groups []*flags.Group)
	walk = func(groups []*flags.Group) {
		for _, g := range groups {
			for _, o := range g.Options() {
				if o.Hidden {
					continue
				}
				section := sections[o.LongName]
				if g.ShortDescription == commonSection {
					section = commonSection
				}
				list = append(list, option(o, section))
			}
			walk(g.Groups())
		}
	}
	walk([]*flags.Group{c.Group})
	slices.SortStableFunc(list, func(a, b manual.Option) int {
		return slices.Index(sectionOrder, a.Section) - slices.Index(sectionOrder, b.Section)
	})
	return list
}

// placeholders replaces the placeholders in flag descriptions with values from the table of
// transports.
var placeholders = strings.NewReplacer(
	"{sources}", names.Or(transport.Forms((*image.Transport).IsSource)), "{destinations}", names.Or(transport.Purposes()))

func option(o *flags.Option, section string) manual.Option {
	tag := o.Field().Tag
	text := strings.ReplaceAll(o.Description, "{repos}", strings.Join(repoNames(repos(nil)), ", "))
	d := manual.Option{
		Short: o.ShortName, Long: o.LongName, Value: o.ValueName, Section: section,
		Brief: tag.Get("brief"), Text: placeholders.Replace(text), Env: o.EnvDefaultKey,
		Repeats: o.Field().Type.Kind() == reflect.Slice,
	}
	if o.DefaultMask != "" {
		d.Text += " (default: " + o.DefaultMask + ")"
	}
	if v := tag.Get("variable"); v != "" {
		d.Env = v
	}
	if t := o.Field().Type; d.Value == "" && (t.Kind() == reflect.String || t == reflect.TypeFor[[]string]()) {
		d.Value = "VALUE"
	}
	return d
}

// headings maps the long names of a command's flags to their sections. A section ends with the
// struct that contains it.
func headings(command reflect.Type) map[string]string {
	found := make(map[string]string)
	var walk func(t reflect.Type)
	walk = func(t reflect.Type) {
		section := "Options"
		for f := range t.Fields() {
			if f.Type.Kind() == reflect.Struct {
				walk(f.Type)
				continue
			}
			if s := f.Tag.Get("section"); s != "" {
				section = s
			}
			if long := f.Tag.Get("long"); long != "" {
				found[long] = section
			}
		}
	}
	walk(command)
	return found
}
