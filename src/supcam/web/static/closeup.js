// Small pictures of objects, cut from the picture that is loaded already, so that nothing more is asked for.

import { standing } from "./types.js";

const PAD = 0.18;
const HEAT_SIDE = 96;

/** The square around an object, with some of its surroundings, in pixels of the picture. */
export function squareOf({ box }) {
  const side = Math.max(box.bottom - box.top, box.right - box.left) * (1 + 2 * PAD) + 8;
  return { left: (box.left + box.right - side) / 2, top: (box.top + box.bottom - side) / 2, side };
}

/** Draws an object with its outline into a canvas; ``scale``: loaded pixels in one pixel of the picture. */
export function drawObject(canvas, { picture, scale, object, heat = null, isOutlined = true }) {
  const paper = canvas.getContext("2d");
  const { left, top, side } = squareOf(object);
  const zoom = canvas.width / side;
  paper.setTransform(1, 0, 0, 1, 0, 0);
  paper.fillStyle = "#8a9294";
  paper.fillRect(0, 0, canvas.width, canvas.height);
  paper.imageSmoothingQuality = "high";
  paper.setTransform(zoom, 0, 0, zoom, -left * zoom, -top * zoom);
  paper.drawImage(picture, 0, 0, picture.naturalWidth / scale, picture.naturalHeight / scale);
  if (heat) paper.drawImage(heat.canvas, heat.left, heat.top, heat.side, heat.side);
  if (isOutlined) drawLines(paper, { object, zoom, width: canvas.width });
}

function drawLines(paper, { object, zoom, width }) {
  const thick = width > 200 ? 4 : 2.5;
  const style = getComputedStyle(document.documentElement);
  for (const [colour, factor, dash] of [["rgb(16 24 28 / 55%)", 1.9, []], [null, 1, DASHES[standing(object).type]]]) {
    paper.beginPath();
    for (const ring of object.outline) {
      ring.forEach(([x, y], at) => (at ? paper.lineTo(x + 0.5, y + 0.5) : paper.moveTo(x + 0.5, y + 0.5)));
      paper.closePath();
    }
    paper.lineWidth = (thick * factor) / zoom;
    paper.setLineDash(dash.map((length) => (length * thick) / zoom));
    paper.strokeStyle = colour ?? style.getPropertyValue(`--t-${standing(object).type}`);
    paper.stroke();
  }
  paper.setLineDash([]);
}

const DASHES = { instance: [], touching: [4, 2], overlapping: [1.2, 1.6], touching_overlapping: [4, 1.6, 1.2, 1.6], rejected: [1, 2.6] };

/** Where the network looked for a type, as a picture over a square; what spoke against it stays clear. */
export function heatOf(seen, type) {
  const rows = seen.maps[type];
  if (!rows?.length) return null;
  const most = Math.max(...rows.flat(), 1e-9);
  const small = new OffscreenCanvas(rows[0].length, rows.length);
  const paper = small.getContext("2d");
  const pixels = paper.createImageData(small.width, small.height);
  rows.flat().forEach((value, at) => pixels.data.set([255, 96, 32, 215 * Math.max(0, value / most - 0.12) ** 1.3], 4 * at));
  paper.putImageData(pixels, 0, 0);
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = HEAT_SIDE;
  const smooth = canvas.getContext("2d");
  smooth.imageSmoothingQuality = "high";
  smooth.drawImage(small, 0, 0, HEAT_SIDE, HEAT_SIDE);
  return { canvas, left: seen.left_px, top: seen.top_px, side: seen.side_px };
}

/** The address of a canvas as a picture; to be revoked when it is no longer shown. */
export function addressOf(canvas) {
  return new Promise((resolve) => canvas.toBlob((blob) => resolve(URL.createObjectURL(blob))));
}
