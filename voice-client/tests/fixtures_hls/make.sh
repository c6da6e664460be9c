#!/bin/sh
# Makes every file beside it with ffmpeg (7 or newer, with libmp3lame).
set -eu
cd "$(dirname "$0")"
quiet() { ffmpeg -v error -y "$@"; }
exact="-map_metadata -1 -fflags +bitexact -flags:a +bitexact"
# A sweep: no two places in it sound alike.
sweep="aevalsrc=0.5*sin(2*PI*(200+300*t)*t):s=44100:d=3.2"
quiet -f lavfi -i "$sweep" $exact -c:a aac -aac_pns 0 -b:a 32k sweep.aac
quiet -f lavfi -i "$sweep" $exact -c:a libmp3lame -b:a 32k -write_xing 0 -id3v2_version 0 sweep.mp3
quiet -f lavfi -i "$sweep" $exact -c:a ac3 -b:a 64k -t 0.3 -f mpegts ac3.ts
cut() { # file segment-type name options
    file=$1 type=$2 name=$3
    shift 3
    quiet -i "$file" $exact -c copy "$@" -f hls -hls_time 0.8 -hls_list_size 0 -hls_segment_type "$type" -hls_playlist_type vod \
        -hls_fmp4_init_filename "$name.init" -hls_segment_filename "$name%d.seg" "$name.m3u8"
}
cut sweep.aac mpegts ts
cut sweep.mp3 mpegts mp3
cut sweep.aac fmp4 mp4 -bsf:a aac_adtstoasc
