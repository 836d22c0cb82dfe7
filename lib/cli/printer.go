package cli

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"chunkah/lib/quote"
)

// printer writes an answer to standard output. Names of an image or a root cannot end a
// line or reach the terminal as controls: a line is written in one call, and what comes
// from its arguments is quoted with the rest. The first error is kept.
type printer struct {
	out *bufio.Writer
	err error
}

func newPrinter(w io.Writer) *printer { return &printer{out: bufio.NewWriter(w)} }

// linef prints one line.
func (p *printer) linef(format string, args ...any) {
	p.write([]byte(quote.Line(fmt.Sprintf(format, args...)) + "\n"))
}

// json prints one object, on a line.
func (p *printer) json(value any) {
	data, err := json.Marshal(value)
	if err != nil {
		p.fail(err)
		return
	}
	p.write(append(quote.JSON(data), '\n'))
}

func (p *printer) write(data []byte) {
	_, err := p.out.Write(data)
	p.fail(err)
}

func (p *printer) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

// flush writes what is left.
func (p *printer) flush() error {
	p.fail(p.out.Flush())
	return p.err
}

// table is rows of cells, aligned to the right. Of the last column, which is text, a line
// has as much as it needs.
type table struct {
	p    *printer
	rows *tabwriter.Writer
}

func (p *printer) table() *table {
	return &table{p, tabwriter.NewWriter(p.out, 0, 0, 2, ' ', tabwriter.AlignRight)}
}

// row adds a row. An empty last cell is no column.
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
