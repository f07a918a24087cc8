package report

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/internal/durable"
)

// Output is one place for a report: a file, or standard output where Path is empty.
type Output struct {
	Format string // a name of Formats
	Path   string
}

// ParseOutputs parses values of -o, each "FORMAT" or "FORMAT=FILE". Without any it returns the
// default format on standard output. The error names everything that is wrong.
func ParseOutputs(written []string) ([]Output, error) {
	if len(written) == 0 {
		return []Output{{Format: Names()[0]}}, nil
	}
	var outputs []Output
	var faults []error
	for _, w := range written {
		format, path, toFile := strings.Cut(w, "=")
		output := Output{Format: format, Path: path}
		switch {
		case !slices.Contains(Names(), format):
			faults = append(faults, fmt.Errorf("-o %s: unknown format; want %s", w, joinAlternatives(Names())))
		case toFile && path == "":
			faults = append(faults, fmt.Errorf("-o %s: no file after the equals sign", w))
		case slices.ContainsFunc(outputs, func(o Output) bool { return o.Format == format }):
			faults = append(faults, fmt.Errorf("-o %s: the format is given twice", w))
		case slices.ContainsFunc(outputs, func(o Output) bool { return samePath(o.Path, path) }):
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

// joinAlternatives joins the items of a list from which one is chosen.
func joinAlternatives(items []string) string {
	last := len(items) - 1
	return strings.Join(items[:last], ", ") + " or " + items[last]
}

func samePath(a, b string) bool {
	if a == "" || b == "" {
		return a == b
	}
	return filepath.Clean(a) == filepath.Clean(b)
}

// Write writes a report to the files among the outputs, and then to stdout if one of them has no
// file. If one output fails, Write still writes the others. Census is the census that the report
// judges, or nil; colour applies only to stdout.
func Write(outputs []Output, stdout io.Writer, colour bool, r audit.Report, census *audit.Census) error {
	var faults []error
	for _, o := range outputs {
		if o.Path == "" {
			continue
		}
		renderer := rendererFor(o.Format, false, census)
		if err := WriteFile(o.Path, o.Format, func(w io.Writer) error { return renderer.Render(w, r) }); err != nil {
			faults = append(faults, fmt.Errorf("-o %s=%s: %w", o.Format, o.Path, err))
		}
	}
	for _, o := range outputs {
		if o.Path != "" {
			continue
		}
		if err := rendererFor(o.Format, colour, census).Render(stdout, r); err != nil {
			faults = append(faults, fmt.Errorf("writing the report: %w", err))
		}
	}
	return errors.Join(faults...)
}

// rendererFor returns the renderer of a format. For a census it also writes the census, if the
// format has a place for it.
func rendererFor(format string, colour bool, census *audit.Census) Renderer {
	if census != nil {
		switch format {
		case "text":
			return CensusText{Census: *census, Text: Text{Colour: colour}}
		case "json":
			return CensusJSON{Census: *census}
		}
	}
	formats := Formats(colour)
	return formats[slices.IndexFunc(formats, func(f Format) bool { return f.Name == format })].Renderer
}

// WriteFile replaces a whole file at once. A new file has mode 0600, because a report names weak spots, or
// 0644 for metrics, which the user of a node exporter reads. An existing file keeps its mode, and as root also its owner, so that its readers can still read
// it.
func WriteFile(path, format string, write func(io.Writer) error) error {
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return err
	}
	mode := fs.FileMode(0o600)
	if format == "prometheus" {
		mode = 0o644
	}
	var owner *durable.Owner // that of the file which it replaces
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		owner = durable.Process() // the folder's owner need not be one who may read it
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errors.New("not a regular file") // to rename over a device would take it away
	default:
		mode = info.Mode().Perm()
		// A symlink stays one; what it points at is replaced.
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return err
		}
	}
	return durable.WriteFile(filepath.Dir(path), durable.File{Name: filepath.Base(path), Mode: mode, Data: b.Bytes()}, owner)
}
