package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf16"

	"github.com/etcdsec/etcdsec/audit"
)

// JSON writes the report as one indented object. Its fields are the contract with its readers.
type JSON struct{}

// Render implements Renderer. It encodes one result after the other: the JSON of a fleet is
// several times larger than the report is in memory, and would be there three times over.
func (JSON) Render(w io.Writer, r audit.Report) error {
	results := r.Results
	r.Results = nil
	frame, err := encode(r, "")
	if err != nil {
		return err
	}
	// No text in it has a line end, so this is the field.
	before, after, found := bytes.Cut(frame, []byte("\n  \"results\": null"))
	if !found {
		return errors.New("encoding the report: it has no results")
	}
	out := bufio.NewWriterSize(w, 64<<10) // it keeps the first error until Flush
	_, _ = out.Write(before)
	_, _ = out.WriteString("\n  \"results\": [")
	for i := range results {
		one, err := encode(results[i], "    ")
		if err != nil {
			return err
		}
		if i > 0 {
			_ = out.WriteByte(',')
		}
		_, _ = out.WriteString("\n    ")
		if _, err := out.Write(one); err != nil {
			return err
		}
	}
	if len(results) > 0 {
		_, _ = out.WriteString("\n  ")
	}
	_ = out.WriteByte(']')
	_, _ = out.Write(after)
	_ = out.WriteByte('\n')
	return out.Flush()
}

// WriteJSON writes any value as indented JSON in which every character can be seen.
func WriteJSON(w io.Writer, v any) error {
	text, err := encode(v, "")
	if err != nil {
		return err
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

// encode returns the JSON of a value. Every line except the first begins with the prefix.
func encode(v any, prefix string) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent(prefix, "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return escapeControls(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}

// escapeControls writes C1 control characters and changes of the writing direction as \u escapes,
// because they act on a terminal and encoding/json does not escape them. The JSON keeps its
// meaning.
func escapeControls(encoded []byte) []byte {
	var b bytes.Buffer
	for _, r := range string(encoded) {
		switch {
		case r == '\n' || strconv.IsPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.Bytes()
}
