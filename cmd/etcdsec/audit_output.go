package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/audit"
	render "github.com/etcdsec/etcdsec/audit/report"
	"github.com/etcdsec/etcdsec/internal/durable"
)

// auditOutputs is where an audit report goes: to stdout in one format, and to files in others.
type auditOutputs struct {
	written []string // FORMAT or FORMAT=FILE, as the operator wrote it
	parsed  []auditOutput
	census  *audit.Census // that the report is of; nil of any other
}

type auditOutput struct {
	format string
	path   string // empty is stdout
}

// addFlags adds -o to a verb that writes an audit report.
func (o *auditOutputs) addFlags(cmd *cobra.Command) {
	names := render.Names()
	cmd.Flags().StringArrayVarP(&o.written, "output", "o", nil,
		"`format` of the report on stdout, or FORMAT=FILE; may be repeated: "+strings.Join(names, ", ")+" (default "+names[0]+")")
	_ = cmd.RegisterFlagCompletionFunc("output", completeAuditOutput) // fails only for unknown flags
	check := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		var err error
		if o.parsed, err = parseAuditOutputs(o.written); err != nil {
			return usageError(err, "")
		}
		if check != nil {
			return check(cmd, args)
		}
		return nil
	}
}

// completeAuditOutput offers the formats, and files behind the equals sign.
func completeAuditOutput(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if strings.Contains(typed, "=") {
		return nil, cobra.ShellCompDirectiveDefault
	}
	var formats []cobra.Completion
	for _, f := range render.Formats(false) {
		formats = append(formats, cobra.CompletionWithDesc(f.Name, f.Summary))
	}
	return formats, cobra.ShellCompDirectiveNoFileComp
}

// parseAuditOutputs gives what is written, or all that is wrong with it.
func parseAuditOutputs(written []string) ([]auditOutput, error) {
	if len(written) == 0 {
		return []auditOutput{{format: render.Names()[0]}}, nil
	}
	var outputs []auditOutput
	var faults []error
	for _, w := range written {
		format, path, toFile := strings.Cut(w, "=")
		output := auditOutput{format: format, path: path}
		switch {
		case !slices.Contains(render.Names(), format):
			faults = append(faults, fmt.Errorf("-o %s: unknown format; want %s", w, alternatives(render.Names())))
		case toFile && path == "":
			faults = append(faults, fmt.Errorf("-o %s: no file behind the equals sign", w))
		case slices.ContainsFunc(outputs, func(o auditOutput) bool { return o.format == format }):
			faults = append(faults, fmt.Errorf("-o %s: the format is given twice", w))
		case slices.ContainsFunc(outputs, func(o auditOutput) bool { return samePath(o.path, path) }):
			if path == "" {
				faults = append(faults, fmt.Errorf("-o %s: two reports on stdout; give one a file: -o %s=FILE", w, format))
			} else {
				faults = append(faults, fmt.Errorf("-o %s: two reports in one file", w))
			}
		}
		outputs = append(outputs, output)
	}
	return outputs, errors.Join(faults...)
}

// alternatives joins the items of a list, of which one is to be chosen.
func alternatives(items []string) string {
	last := len(items) - 1
	return strings.Join(items[:last], ", ") + " or " + items[last]
}

func samePath(a, b string) bool {
	if a == "" || b == "" {
		return a == b
	}
	return filepath.Clean(a) == filepath.Clean(b)
}

// writeAuditReport writes the report to the files and then to stdout. What cannot be written
// does not keep it from the others.
func (a *app) writeAuditReport(o auditOutputs, r audit.Report) error {
	var faults []error
	for _, output := range o.parsed {
		if output.path == "" {
			continue
		}
		if err := o.writeFile(output, r); err != nil {
			faults = append(faults, fmt.Errorf("-o %s=%s: %w", output.format, output.path, err))
		}
	}
	for _, output := range o.parsed {
		if output.path != "" {
			continue
		}
		if err := o.renderer(output.format, a.wantsColour()).Render(a.stdout, r); err != nil {
			faults = append(faults, fmt.Errorf("writing the report: %w", err))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return failure(err, "")
	}
	return nil
}

// renderer writes the reports of a format. That of a census has the census too where there is
// a place for it.
func (o auditOutputs) renderer(format string, colour bool) render.Renderer {
	if o.census != nil {
		switch format {
		case "text":
			return render.CensusText{Census: *o.census, Text: render.Text{Colour: colour}}
		case "json":
			return render.CensusJSON{Census: *o.census}
		}
	}
	formats := render.Formats(colour)
	return formats[slices.IndexFunc(formats, func(f render.Format) bool { return f.Name == format })].Renderer
}

// writeFile replaces a file as a whole. A new one is 0600, because a report names weak
// spots; one that is there keeps its mode, and its owner too if that takes root, so that
// whoever was allowed to read it still is.
func (o auditOutputs) writeFile(output auditOutput, r audit.Report) error {
	var b bytes.Buffer
	if err := o.renderer(output.format, false).Render(&b, r); err != nil {
		return err
	}
	path, mode := output.path, fs.FileMode(0o600)
	var owner *durable.Owner
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errors.New("not a regular file") // to rename over a device would take it away
	default:
		mode = info.Mode().Perm()
		if os.Geteuid() == 0 {
			if owner, err = durable.OwnerOf(path); err != nil {
				return err
			}
		}
		// A symlink stays one; what it points at is replaced.
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return err
		}
	}
	return durable.WriteFile(filepath.Dir(path), durable.File{Name: filepath.Base(path), Mode: mode, Data: b.Bytes()}, owner)
}
