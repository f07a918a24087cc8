// Command zlint checks every certificate and revocation list below the given folders with all rules
// of zlint. It prints a line for each violation: path, rule, status, details.
package main

import (
	"encoding/pem"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"
)

func main() {
	files := 0
	for _, dir := range os.Args[1:] {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			n, err := lintFile(path)
			files += n
			return err
		})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	fmt.Printf("linted %d\n", files)
}

// lintFile checks the content of a file, and returns the number of certificates and lists in it.
func lintFile(path string) (int, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	switch filepath.Ext(path) {
	case ".crt":
		n := 0
		for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return n, fmt.Errorf("%s: %w", path, err)
			}
			report(path, zlint.LintCertificate(cert))
			n++
		}
		return n, nil
	case ".crl":
		list, err := x509.ParseRevocationList(data)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", path, err)
		}
		report(path, zlint.LintRevocationList(list))
		return 1, nil
	}
	return 0, nil
}

func report(path string, results *zlint.ResultSet) {
	var lines []string
	for name, result := range results.Results {
		if result.Status > lint.Notice {
			lines = append(lines, strings.Join([]string{path, name, result.Status.String(), result.Details}, "\t"))
		}
	}
	sort.Strings(lines)
	for _, line := range lines {
		fmt.Println(line)
	}
}
