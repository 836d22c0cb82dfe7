package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"chunkah/lib/assign"
	"chunkah/lib/console"
	"chunkah/lib/pack"
	"chunkah/lib/quote"
	"chunkah/lib/scan"
	"chunkah/lib/verify"
	"chunkah/lib/write"
)

// Scan reports the scanned and skipped files.
func Scan(log *console.Console, r *scan.Report) {
	for _, c := range scan.Counts(r.Skipped) {
		log.Warn("skipping %s: %s", console.Plural(c.N, "file"), c.Name)
	}
	Costly(log, r)
	walked(log, r)
}

// Unmapped warns about files whose owners are not mapped in the user namespace.
func Unmapped(log *console.Console, r *scan.Report) {
	if r.Unmapped > 0 {
		log.Warn("%s owned by nobody (65534): the real owners may be unmapped in this user namespace, and the image would contain nobody as the owner: run as root, or under podman unshare",
			console.Plural(r.Unmapped, "file"))
	}
}

// walked reports the scan without the excluded files.
func walked(log *console.Console, r *scan.Report) {
	for _, n := range r.Notes {
		log.Warn("skipping %s %q", n.What, n.Path)
	}
	for _, c := range scan.Counts(r.Dropped) {
		log.Info("dropping the xattr %s of %s", quote.Name(c.Name), console.Plural(c.N, "file"))
	}
	for _, p := range r.Unmatched {
		if !slices.Contains(scan.LiveContents, p) {
			log.Warn("--prune %q matches nothing", p)
		}
	}
	log.Info("%s, %s", console.Plural(r.Files, "record"), console.Bytes(r.Bytes))
}

// Costly warns about files that make the following stages slow or the image large.
func Costly(log *console.Console, r *scan.Report) {
	sparse(log, r.Sparse)
	if r.OSTree {
		log.Warn("/sysroot/ostree is an ostree repository, which contains a second copy of all files: leave it out with --prune /sysroot/")
	}
}

// sparse warns about files that are much larger in an image than on disk.
func sparse(log *console.Console, list []scan.Sparse) {
	if len(list) == 0 {
		return
	}
	var holes int64
	for _, s := range list {
		holes += s.Holes
	}
	log.Warn("%s with holes (%s in total), which are stored as zeros in the image and slow down the build: %q%s; use --prune to leave out a file",
		console.Plural(len(list), "file"), console.Bytes(holes), list[0].Path, andOthers(len(list)-1))
}

// andOthers formats the number of items in addition to the example.
func andOthers(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" and %d more", n)
}

// Assign reports what each repo found.
func Assign(log *console.Console, o *assign.Outcome) {
	for _, w := range o.Warnings {
		log.Warn("%s", w)
	}
	var none []string
	for _, s := range o.Summaries {
		if !s.Found {
			none = append(none, s.Repo)
			continue
		}
		log.Info("%s: %s, %s, %s, %s", s.Repo, console.Plural(s.Packages, "package"),
			console.Plural(s.Components, "component"), console.Plural(s.Files, "file"), console.Bytes(s.Bytes))
	}
	if len(none) > 0 {
		log.Info("no packages found by: %s", strings.Join(none, ", "))
	}
}

// Pack reports the result of pack.
func Pack(log *console.Console, r *pack.Report) {
	for _, c := range scan.Counts(r.Stripped) {
		log.Info("dropping the xattr %s of %s", quote.Name(c.Name), console.Plural(c.N, "file"))
	}
	if n := len(r.Oversized); n > 0 {
		list := []string{fmt.Sprintf("%s larger than --max-layer-size, each in its own layer:", console.Plural(n, "file"))}
		for _, o := range r.Oversized {
			list = append(list, fmt.Sprintf("  %q: %s", o.Path, console.Bytes(o.Bytes)))
		}
		log.WarnLines(list)
	}
	if r.NoSource {
		log.Warn("cannot read the source listed in the stream, so unchanged files get different times than in the previous image: run chunkah-pack where the source can be read")
	}
	if r.Closed > 0 {
		log.Warn("not keeping the previous image's times of %s with files that this user cannot read", console.Plural(r.Closed, "component"))
	}
	if r.Odd > 0 {
		log.Warn("%s with a file dated before 1970 or after 2242: their files keep their own times, which change whenever the root is built again", console.Plural(r.Odd, "component"))
	}
	if r.Now > 0 {
		log.Info("grouping uses the updates up to %s, the time of the newest update", time.Unix(r.Now, 0).UTC().Format(time.RFC3339))
	}
	if r.KeptTimes > 0 {
		log.Info("keeping the previous image's times for %d of %s without a package build time", r.KeptTimes, console.Plural(r.Unbounded, "component"))
	}
	if p := r.Patch; p != nil {
		log.Info("keeping %d of %s of the previous image, with %s of stale files; %s of new files in %s", len(p.Kept), console.Plural(len(p.Layers), "layer"),
			console.Bytes(p.Stale), console.Bytes(p.NewBytes), console.Plural(p.New, "layer"))
	}
	for i, l := range r.Plan {
		log.Debug("layer %d: %s, stability %s: %s", r.Base+i, console.Bytes(l.Bytes), console.Percent(l.Record.StabilityPPM), quote.Names(l.Record.Components))
	}
	log.Info("%s in %s, %s", console.Plural(r.Components, "component"), console.Plural(r.Layers, "layer"), console.Bytes(r.Bytes))
}

// wrote reports what writing an image left out, and the problems that it found.
func wrote(log *console.Console, r *write.Report) {
	for _, p := range r.LeftOut {
		log.Warn("skipping the output %q", p)
	}
	if len(r.Dropped) > 0 {
		log.Warn("dropping labels and annotations that describe the source's layers: %s (--keep-label NAME keeps one)", strings.Join(r.Dropped, ", "))
	}
	if len(r.Stale) > 0 {
		log.Warn("the config has labels or annotations that describe layers of another image: %s (--label NAME- removes one)", strings.Join(r.Stale, ", "))
	}
	if r.Duplicates > 0 {
		log.Info("skipping %s with the contents of another layer", console.Plural(r.Duplicates, "layer"))
	}
	log.Info("created %s, from %s", r.Created.Format(time.RFC3339), r.CreatedFrom)
	unmarked(log, r.Unmarked)
	for _, why := range r.Refused {
		log.Warn("%s; compressing the layer again", why)
	}
	for _, why := range r.LostTables {
		log.Warn("%s; clients download the layer as a whole", why)
	}
	if r.ProofsFault != nil {
		log.Debug("recording the verified blobs: %s", r.ProofsFault)
	}
	if r.CacheFault != nil {
		log.Warn("%s", r.CacheFault)
	}
	if r.PlanLacks != "" {
		log.Warn("the plan in the image's history has no %s, because it would exceed 1 MiB: use --plan FILE for a complete plan, and --previous FILE in the next build", r.PlanLacks)
	}
}

// Written reports the written image, and the same problems as the function wrote.
func Written(log *console.Console, made *Image) {
	wrote(log, made.Report)
	for _, line := range made.lines() {
		log.Info("%s", line)
	}
}

// unmarked warns about layers that are not zstd:chunked.
func unmarked(log *console.Console, list []write.Unmarked) {
	if len(list) == 0 {
		return
	}
	others := ""
	if n := len(list) - 1; n > 0 {
		others = "; " + console.Plural(n, "more layer") + " for similar reasons"
	}
	first := list[0]
	log.Warn("a layer is plain zstd instead of zstd:chunked, because podman cannot restore all files in the layer from chunks: the layer contains %s, for example %q%s",
		first.Reason, first.Path, others)
}

// Verify reports the result of a verification.
func Verify(log *console.Console, r *verify.Report) {
	log.Info("verified %s, %s, %s: %s", console.Plural(r.Images, "image"), console.Plural(r.Layers, "layer"),
		console.Bytes(r.Bytes), console.Plural(len(r.Faults), "fault"))
}
