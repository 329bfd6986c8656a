package configs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// fileName takes the name of a file that must be there, relative to the folder of the configuration, or nothing.
func (d *decoder) fileName(s string) (string, string) {
	if s == "" {
		return "", ""
	}
	name := s
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(d.file), name)
	}
	if err := regular(name); err != nil {
		return "", fmt.Sprintf(ruleFile, err)
	}
	return name, ""
}

// folderName takes the name of a folder that is there or will be made, relative to the folder of the configuration, or nothing.
func (d *decoder) folderName(s string) (string, string) {
	if s == "" {
		return "", ""
	}
	name := s
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(d.file), name)
	}
	switch info, err := os.Stat(name); {
	case err == nil && !info.IsDir():
		return "", fmt.Sprintf(ruleFolder, "it is a file")
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return "", fmt.Sprintf(ruleFolder, unwrapped(err))
	}
	return name, ""
}

// regular returns why name is no regular file; symbolic links are followed, since that is how a Kubernetes
// ConfigMap is mounted.
func regular(name string) error {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return unwrapped(err)
	case info.IsDir():
		return errors.New("it is a directory")
	case !info.Mode().IsRegular():
		return errors.New("it is a device, a socket or a named pipe")
	}
	return nil
}

// unwrapped drops the path from an error about a file whose name stands beside it anyway.
func unwrapped(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// content reads a file that path names.
func (d *decoder) content(path, name string) ([]byte, bool) {
	data, err := readFile(name)
	switch {
	case err != nil:
		d.problem(path, fmt.Sprintf(ruleFile, err))
	case len(data) > maxFile:
		d.problem(path, fmt.Sprintf(ruleTooLarge, maxFile))
	default:
		return data, true
	}
	return nil, false
}

// checkPair loads a certificate and its key, so that a pair that does not fit is found before a reload needs it. It
// returns the leaf; nil if there is none.
func (d *decoder) checkPair(certificatePath, certificate, keyPath, key string) *x509.Certificate {
	if certificate == "" || key == "" {
		return nil
	}
	certificatePEM, ok := d.content(certificatePath, certificate)
	keyPEM, ok2 := d.content(keyPath, key)
	if !ok || !ok2 {
		return nil
	}
	pair, err := tls.X509KeyPair(certificatePEM, keyPEM)
	if err != nil {
		d.problem(certificatePath, fmt.Sprintf(rulePair, err))
	}
	return pair.Leaf
}
