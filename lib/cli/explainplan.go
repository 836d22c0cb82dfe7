package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"chunkah/lib/image"
	"chunkah/lib/pack"
)

// answer prints what --explain and --json ask for: to standard output where nothing
// else is there, else to standard error.
func (e *Env) answer(ctx context.Context, output *image.Source, text string) error {
	if output == nil {
		e.console().Raw(text)
		return nil
	}
	if _, err := io.WriteString(e.writer(ctx), text); err != nil {
		return fmt.Errorf("explaining the plan: %w", err)
	}
	return nil
}

// explainPlan prints the plan as it was asked for.
func (f *packFlags) explainPlan(ctx context.Context, env *Env, output *image.Source, r *pack.Report) error {
	if r.Explanation == nil {
		return nil
	}
	text := planText(r.Explanation)
	if f.JSON {
		data, err := json.Marshal(r.Explanation)
		if err != nil {
			return fmt.Errorf("explaining the plan: %w", err)
		}
		text = string(data) + "\n"
	}
	return env.answer(ctx, output, text)
}

// planText is the plan for people: two lines a layer, numbers and reason on the
// first, what is in it on the second.
func planText(x *pack.Explanation) string {
	var b strings.Builder
	fmt.Fprintln(&b, "layer        size  changes/week  expected/week")
	for i, l := range x.Layers {
		fmt.Fprintf(&b, "%5d%12s%13s%%%15s  %s\n", i, bytesText(l.Bytes), percent(l.ChangePPM), bytesText(l.Expected), reason(x, i))
		fmt.Fprintf(&b, "       %s\n", strings.Join(l.Components, ", "))
	}
	fmt.Fprintf(&b, "total%12s%29s  in %s, %d at most\n", bytesText(x.Bytes), bytesText(x.Expected), plural(int64(len(x.Layers)), "layer"), x.Max)
	for _, c := range []*pack.Change{x.Fewer, x.More} {
		if c == nil {
			continue
		}
		fmt.Fprintf(&b, "%d at most: %s expected a week, %s; %s of %d would be others\n", c.Max, bytesText(c.Expected),
			signed(c.Expected-x.Expected), plural(int64(c.Differ), "layer"), c.Layers)
	}
	return b.String()
}

// reason says why a layer is alone or together, in bytes a week.
func reason(x *pack.Explanation, i int) string {
	l := x.Layers[i]
	var why []string
	switch l.Was {
	case pack.PastKept:
		why = append(why, "kept from the last image")
	case pack.PastChanged:
		why = append(why, "of the last image, changed")
	case pack.PastNew:
		why = append(why, "not in the last image")
	}
	if n := len(l.Components); n > 1 {
		why = append(why, fmt.Sprintf("%d together: apart they would save %s, and take %s more", n,
			bytesText(max(l.Expected-l.Apart, 0)), plural(int64(n-1), "layer")))
	} else if l.Neighbour >= 0 {
		why = append(why, fmt.Sprintf("alone: with layer %d, the cheapest, both would cost %s more", l.Neighbour, bytesText(l.Joined)))
	}
	return strings.Join(why, "; ")
}

// percent writes parts per million as a percentage.
func percent(n int64) string { return fmt.Sprintf("%d.%02d", n/10_000, n/100%100) }

// signed writes a difference of sizes.
func signed(n int64) string {
	if n < 0 {
		return bytesText(-n) + " less"
	}
	return bytesText(n) + " more"
}
