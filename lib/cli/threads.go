package cli

import "strconv"

// threadFlags limit parallel work.
type threadFlags struct {
	Threads string `short:"T" long:"threads" env:"CHUNKAH_THREADS" value-name:"N" unquote:"false" description:"number of layers or files to process in parallel (default and 0: number of cores); does not change the image" section:"Output" brief:"layers in parallel (default: number of cores)"`
}

// maxThreads is the largest value of --threads. No machine has more cores.
const maxThreads = 4096

func (f *threadFlags) threads() (int, error) {
	if f.Threads == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(f.Threads)
	if err != nil || n < 0 || n > maxThreads {
		return 0, usagef("threads %q (--threads or CHUNKAH_THREADS) is not a number from 0 to %d", f.Threads, maxThreads)
	}
	return n, nil
}
