package main

import (
	"errors"
	"io/fs"
	"os"

	"github.com/etcdsec/etcdsec/audit"
)

// loadReports reads JSON reports. Its error names every report that it could not read. The path
// "-" is standard input.
func (a *app) loadReports(paths []string) ([]audit.Report, error) {
	reports := make([]audit.Report, len(paths))
	var faults []error
	stdin := false
	for i, path := range paths {
		if path == "-" && stdin {
			return nil, usageError(errors.New("- is given twice: standard input can be only one report"), "")
		}
		stdin = stdin || path == "-"
		var err error
		if reports[i], err = a.loadReport(path); err != nil {
			faults = append(faults, &fs.PathError{Op: "reading the report", Path: path, Err: err})
		}
	}
	if len(faults) > 0 {
		return nil, failure(errors.Join(faults...), "")
	}
	for i, r := range reports {
		if r.Tool.Version != reports[0].Tool.Version {
			a.narrate("warning: %s was made by etcdsec %s, and %s by etcdsec %s: their checks may differ", paths[0], reports[0].Tool.Version, paths[i], r.Tool.Version)
		}
	}
	return reports, nil
}

func (a *app) loadReport(path string) (audit.Report, error) {
	in, err := a.files.Open(path)
	var r audit.Report
	if err == nil {
		defer in.Close()
		r, err = audit.ReadReport(in)
	}
	if cause, ok := errors.AsType[*os.PathError](err); ok {
		err = cause.Err // the path is named already
	}
	return r, err
}
