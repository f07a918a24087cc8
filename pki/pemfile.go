package pki

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The types of the PEM blocks that programs of TLS write.
const (
	pemCertificate = "CERTIFICATE"
	pemKeySuffix   = "PRIVATE KEY"
)

// pemBlock is one block of a PEM file.
type pemBlock struct {
	*pem.Block
	text []byte // as it is in the file, from its BEGIN line on
}

func (b pemBlock) isKey() bool { return strings.HasSuffix(b.Type, pemKeySuffix) }

// parsePEM reads all blocks of a PEM file. It skips text around them, such as openssl's description
// of a certificate, as every program does that reads PEM. But a block that is cut short or damaged
// is an error: etcd would skip it as if it were text, and nobody would notice. command is the
// openssl command that converts such a file from DER.
func parsePEM(data []byte, command string) ([]pemBlock, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, errors.New("the file is empty")
	}
	if bytes.HasPrefix(data, []byte("\xef\xbb\xbf-----BEGIN ")) {
		return nil, errors.New("a byte order mark is before its first PEM block; remove these three bytes")
	}
	var blocks []pemBlock
	for rest := data; ; {
		block, after := pem.Decode(rest)
		text := rest
		if block != nil {
			text = rest[:len(rest)-len(after)]
		}
		begins, ends, last := findMarkers(text)
		switch {
		case block == nil && begins+ends > 0, block != nil && (begins != 1 || ends != 1):
			return nil, fmt.Errorf("PEM block %d is cut short or damaged", len(blocks)+1)
		case block == nil && len(blocks) == 0 && !isText(data) && binaryForm(data, command) != "":
			return nil, errors.New(binaryForm(data, command))
		case block == nil && len(blocks) == 0:
			return nil, errors.New("no PEM block in it")
		case block == nil:
			return blocks, nil
		}
		blocks = append(blocks, pemBlock{block, text[last:]})
		rest = after
	}
}

// findMarkers counts the lines that begin or end a PEM block, or would if they were not damaged, and
// returns where the last beginning is.
func findMarkers(text []byte) (begins, ends, last int) {
	at := 0
	for line := range bytes.Lines(text) {
		trimmed := bytes.TrimSpace(line)
		words := bytes.TrimLeft(trimmed, "-")
		if len(trimmed)-len(words) >= 2 {
			switch {
			case bytes.HasPrefix(words, []byte("BEGIN ")):
				begins, last = begins+1, at
			case bytes.HasPrefix(words, []byte("END ")):
				ends++
			}
		}
		at += len(line)
	}
	return begins, ends, last
}

// isText reports whether data has no control characters but white space, as DER does.
func isText(data []byte) bool {
	return !bytes.ContainsFunc(data, func(c rune) bool { return c < ' ' && c != '\n' && c != '\r' && c != '\t' })
}

// hasKey reports whether one of the blocks is a private key.
func hasKey(blocks []pemBlock) bool { return slices.ContainsFunc(blocks, pemBlock.isKey) }
