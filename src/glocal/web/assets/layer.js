// An image that is laid into a pane by a matrix: first its thumbnail, then as fine as it is shown.

import { imageOf, thumbnailOf } from "./api.js";
import { el } from "./elements.js";
import { css, product } from "./homography.js";

const FIRST = 320; // a list has it already
const THUMBNAIL = 1280;

export class Layer {
  /**
   * @param {string} id of the image
   * @param {{alt?: string, loaded: () => void, gone: () => void}} options what to do when another
   *   size has come, and when there is none
   */
  constructor(id, { alt = "", loaded, gone }) {
    this.id = id;
    this.gone = gone;
    this.element = el("img", { class: "layer", alt, draggable: "false" });
    this.element.addEventListener("load", loaded);
    this.element.src = thumbnailOf(id, FIRST);
    this.fetch(thumbnailOf(id, THUMBNAIL), true);
  }

  fetch(address, needed) {
    const image = new Image();
    image.onload = () => (this.element.src = image.src);
    image.onerror = () => needed && this.gone();
    image.src = address;
  }

  /** Lay the image down.
   *
   * @param {number[][]} matrix from fractions of the image to pixels of the pane
   * @param {number} wide pixels that it is wide, about
   */
  draw(matrix, wide) {
    const { naturalWidth: width, naturalHeight: height } = this.element;
    if (!width) return;
    const sized = [
      [1 / width, 0, 0],
      [0, 1 / height, 0],
      [0, 0, 1],
    ];
    Object.assign(this.element.style, {
      width: `${width}px`,
      height: `${height}px`,
      transform: css(product(matrix, sized)),
    });
    const sharp = Math.min(devicePixelRatio || 1, 2) * wide <= 1.25 * width;
    // A file is fetched once, and only where the largest thumbnail is too coarse.
    if (sharp || this.whole || Math.max(width, height) < THUMBNAIL) return;
    this.whole = true;
    this.fetch(imageOf(this.id), false);
  }
}
