// Package report prints the results of the commands to standard output: tables and lines for
// people, JSON for programs.
package report

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"chunkah/lib/quote"
)

// Printer prints to standard output. Names from an image or a root cannot end a line or send
// control characters to the terminal, because each line is written in one call and its arguments
// are quoted. The first error is kept.
type Printer struct {
	out *bufio.Writer
	err error
}

// New returns a printer that writes to w.
func New(w io.Writer) *Printer { return &Printer{out: bufio.NewWriter(w)} }

// Linef prints one line.
func (p *Printer) Linef(format string, args ...any) {
	p.write([]byte(quote.Line(fmt.Sprintf(format, args...)) + "\n"))
}

// JSON prints one object on one line.
func (p *Printer) JSON(value any) {
	data, err := json.Marshal(value)
	if err != nil {
		p.fail(err)
		return
	}
	p.write(append(quote.JSON(data), '\n'))
}

func (p *Printer) write(data []byte) {
	_, err := p.out.Write(data)
	p.fail(err)
}

func (p *Printer) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

// Flush writes the buffered output, and returns the first error.
func (p *Printer) Flush() error {
	p.fail(p.out.Flush())
	return p.err
}

// table consists of rows of cells. Cells are aligned to the right, except in the last column, which
// contains text.
type table struct {
	p    *Printer
	rows *tabwriter.Writer
}

func (p *Printer) table() *table {
	return &table{p, tabwriter.NewWriter(p.out, 0, 0, 2, ' ', tabwriter.AlignRight)}
}

// row adds a row. An empty last cell is left out.
func (t *table) row(cells ...any) {
	var texts []string
	for _, c := range cells {
		texts = append(texts, quote.Line(fmt.Sprint(c)))
	}
	_, err := io.WriteString(t.rows, strings.Join(texts, "\t")+"\n")
	t.p.fail(err)
}

// end prints the rows.
func (t *table) end() { t.p.fail(t.rows.Flush()) }
